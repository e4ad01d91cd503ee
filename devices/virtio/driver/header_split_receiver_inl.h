#ifndef DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_INL_H_
#define DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_INL_H_

// The functions of header_split_receiver.h. Included from there only. "The
// definition" is docs/header_split.md; other citations are of virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_split_receiver.h"  // IWYU pragma: keep
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_header.h"
#include "devices/virtio/driver/received_packet.h"

namespace annulus::virtio {

inline bool HeaderSplitReceiverConfig::Usable() const {
  if (pages == nullptr || in_flight == nullptr || pages->bytes() < 4096 ||
      pages_per_buffer == 0 || pages_per_buffer > kMaxPages ||
      (small != nullptr && small->bytes() < header.bytes())) {
    return false;
  }
  switch (method) {
    case ReceiveMethod::kNone:
      return true;
    case ReceiveMethod::kChain:
      return small != nullptr && !mergeable;
    case ReceiveMethod::kBuffers:
      return small == nullptr && mergeable && pages_per_buffer == 1;
    case ReceiveMethod::kSmallBuffers:
      return small != nullptr && mergeable && pages_per_buffer == 1 &&
             small->bytes() < pages->bytes();
    case ReceiveMethod::kHeaderQueue:
      return slots != nullptr && header.header_queue;
  }
  return false;
}

// Adds one buffer of one element to the batch. False: there is no room, or no
// memory.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::PostOne(bool small) {
  ReceivePool& pool = small ? *config_.small : *config_.pages;
  if (pool.free_count() == 0) return false;
  const uint32_t number = pool.Peek(0);
  const DriverElement element = {.addr = pool.AddrOf(number),
                                 .len = pool.bytes()};
  const uint16_t id = driver_.AddBatched(nullptr, 0, &element, 1);
  if (id == kNoDriverBuffer) return false;
  pool.Take(1);
  InFlight(id, 0) =
      small ? ReceivePiece::Small(number) : ReceivePiece::Page(number);
  return true;
}

// The same of a small element, if there are any, and pages.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::PostChain() {
  const bool small = config_.small != nullptr;
  const uint32_t pages = config_.pages_per_buffer;
  if (pages > config_.pages->free_count() ||
      (small && config_.small->free_count() == 0)) {
    return false;
  }
  DriverElement elements[kMaxElements];
  uint32_t count = 0;
  if (small) {
    elements[count++] = {.addr = config_.small->AddrOf(config_.small->Peek(0)),
                         .len = config_.small->bytes()};
  }
  for (uint32_t i = 0; i < pages; ++i) {
    elements[count++] = {.addr = config_.pages->AddrOf(config_.pages->Peek(i)),
                         .len = config_.pages->bytes()};
  }
  const uint16_t id = driver_.AddBatched(nullptr, 0, elements, count);
  if (id == kNoDriverBuffer) return false;
  count = 0;
  if (small) {
    InFlight(id, count++) = ReceivePiece::Small(config_.small->Peek(0));
    config_.small->Take(1);
  }
  for (uint32_t i = 0; i < pages; ++i) {
    InFlight(id, count++) = ReceivePiece::Page(config_.pages->Peek(i));
  }
  config_.pages->Take(pages);
  return true;
}

template <typename Driver>
uint32_t HeaderSplitReceiver<Driver>::Post() {
  if (broken_) [[unlikely]] {
    return 0;
  }
  uint32_t posted = 0;
  if (config_.method == ReceiveMethod::kSmallBuffers) {
    while (PostOne(/*small=*/!page_next_)) {
      page_next_ = !page_next_;
      ++posted;
    }
  } else if (config_.elements_per_buffer() == 1) {
    while (PostOne(/*small=*/false)) ++posted;
  } else {
    while (PostChain()) ++posted;
  }
  if (posted != 0) driver_.Expose();
  if (config_.slots != nullptr) config_.slots->Publish();
  return posted;
}

// Of used_.
template <typename Driver>
uint32_t HeaderSplitReceiver<Driver>::BufferBytes() {
  if (config_.method == ReceiveMethod::kSmallBuffers) {
    return PoolOf(InFlight(used_, 0)).bytes();
  }
  return (config_.small != nullptr ? config_.small->bytes() : 0) +
         config_.pages_per_buffer * config_.pages->bytes();
}

template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakeUsed(uint32_t* len) {
  uint16_t id;
  if (!driver_.GetUsed(&id, len)) return driver_.broken() ? Break() : false;
  used_ = id;
  return true;
}

template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakePacket(ReceivedPacket& packet) {
  packet.header = nullptr;
  packet.part_count = 0;
  uint32_t len;
  if (broken_ || !TakeUsed(&len)) return false;
  if (len < config_.header.bytes() || len > BufferBytes()) [[unlikely]] {
    return Break();
  }
  const ReceivePiece first = InFlight(used_, 0);
  packet.net_header =
      ReadReceivedHeader(PoolOf(first).HostOf(first.number()), config_.header);
  packet.split = config_.method != ReceiveMethod::kNone &&
                 (packet.net_header.flags & config_.split_flag) != 0;
  packet.header_bytes = 0;
  packet.header_in_slot = false;
  packet.bytes = 0;
  // Without MRG_RXBUF it is one buffer, whatever the device says.
  const uint32_t buffers =
      config_.mergeable ? packet.net_header.num_buffers : 1;
  // What is too many of them ends where no more are used, or no part is left.
  if (buffers == 0) [[unlikely]] {
    return Break();
  }
  if (!TakeFirst(len, buffers, packet)) return false;
  for (uint32_t i = 1; i < buffers; ++i) {
    if (!TakeFurther(i + 1 == buffers, packet)) return false;
  }
  // No frame is empty, and nothing is split that has no payload.
  return packet.bytes != 0 ? true : Break();
}

// The first buffer of a packet, of `buffers`.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakeFirst(uint32_t len, uint32_t buffers,
                                            ReceivedPacket& packet) {
  if (packet.split) {
    if (config_.method != ReceiveMethod::kHeaderQueue) {
      return TakeHeader(len, buffers, packet);
    }
    if (!TakeSlot(packet)) return false;
  }
  // "the device MUST use all buffers but the last [...] completely up to the
  // full length of each buffer" (§5.1.6.4.1).
  if (buffers > 1 && len != BufferBytes()) [[unlikely]] {
    return Break();
  }
  return AddParts(0, config_.header.bytes(), len - config_.header.bytes(),
                  packet);
}

// Of a packet that was split by method A, B or C.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakeHeader(uint32_t len, uint32_t buffers,
                                             ReceivedPacket& packet) {
  const ReceivePiece piece = InFlight(used_, 0);
  const uint32_t room = PoolOf(piece).bytes();
  const uint32_t before = config_.header.bytes();
  const uint32_t header = packet.net_header.hdr_len;
  if (header == 0 || before + header > room) [[unlikely]] {
    return Break();
  }
  const bool chain = config_.method == ReceiveMethod::kChain;
  // A: "used.len = d0.len + P". B, C: "Buffer 0 gets vnet hdr + H, used.len =
  // hdrsz+H"; others have the payload.
  if (chain ? len <= room : len != before + header || buffers < 2)
      [[unlikely]] {
    return Break();
  }
  if (config_.method == ReceiveMethod::kSmallBuffers && !piece.small())
      [[unlikely]] {
    return Break();
  }
  packet.header = PoolOf(piece).HostOf(piece.number()) + before;
  packet.header_bytes = header;
  packet.header_piece = piece;
  if (chain) return AddParts(1, 0, len - room, packet);
  used_ = kNoDriverBuffer;
  return true;
}

// Of a packet that was split by method Q.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakeSlot(ReceivedPacket& packet) {
  const ReceivedHeader& header = packet.net_header;
  if (header.hdr_buf_id != config_.slots->id() || header.hdr_len == 0 ||
      header.hdr_len > config_.slots->slot_bytes()) [[unlikely]] {
    return Break();
  }
  packet.header = config_.slots->Take(header.hdr_buf_index);
  packet.header_bytes = header.hdr_len;
  packet.header_in_slot = true;
  return packet.header != nullptr ? true : Break();
}

// Any buffer of a packet but the first.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::TakeFurther(bool last,
                                              ReceivedPacket& packet) {
  uint32_t len;
  // "The device MUST use all buffers used by a single receive packet together,
  // such that at least one buffer is observed by driver as used" means all of
  // them (§5.1.6.4.1).
  if (!TakeUsed(&len)) [[unlikely]] {
    return Break();
  }
  if (config_.method == ReceiveMethod::kSmallBuffers && packet.split &&
      InFlight(used_, 0).small()) {
    // "Header buffers met among the data buffers are skipped: used with len 0
    // and counted in num_buffers."
    if (len != 0 || last) [[unlikely]] {
      return Break();
    }
    Release(InFlight(used_, 0));
    used_ = kNoDriverBuffer;
    return true;
  }
  const uint32_t room = BufferBytes();
  if (last ? len == 0 || len > room : len != room) [[unlikely]] {
    return Break();
  }
  return AddParts(0, 0, len, packet);
}

// Of used_ from `element` on, `bytes` that come after `skip` others are the
// packet's. REQUIRES: there are as many. Elements without any are free again.
template <typename Driver>
bool HeaderSplitReceiver<Driver>::AddParts(uint32_t element, uint32_t skip,
                                           uint32_t bytes,
                                           ReceivedPacket& packet) {
  const uint32_t elements = config_.elements_per_buffer();
  const uint16_t id = used_;
  used_ = kNoDriverBuffer;
  packet.bytes += bytes;
  for (; element < elements; ++element) {
    const ReceivePiece piece = InFlight(id, element);
    ReceivePool& pool = PoolOf(piece);
    const uint32_t skipped = skip < pool.bytes() ? skip : pool.bytes();
    const uint32_t room = pool.bytes() - skipped;
    const uint32_t here = bytes < room ? bytes : room;
    skip -= skipped;
    bytes -= here;
    if (here == 0 || packet.part_count == ReceivedPacket::kMaxParts) {
      // No frame has so many parts.
      if (here != 0) Break();
      pool.Put(piece.number());
      continue;
    }
    packet.parts[packet.part_count++] = {
        .data = pool.HostOf(piece.number()) + skipped,
        .bytes = here,
        .piece = piece};
  }
  return !broken_;
}

// Of what the device has broken the rules with, everything is free again.
template <typename Driver>
void HeaderSplitReceiver<Driver>::Abandon(ReceivedPacket& packet) {
  if (packet.header != nullptr) ReleaseHeader(packet);
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    Release(packet.parts[i].piece);
  }
  packet.header = nullptr;
  packet.part_count = 0;
  if (used_ == kNoDriverBuffer) return;
  for (uint32_t i = 0; i < config_.elements_per_buffer(); ++i) {
    Release(InFlight(used_, i));
  }
  used_ = kNoDriverBuffer;
}

template <typename Driver>
void HeaderSplitReceiver<Driver>::ReleaseHeader(const ReceivedPacket& packet) {
  if (!packet.split) return;
  if (packet.header_in_slot) {
    config_.slots->Release(packet.net_header.hdr_buf_index);
  } else {
    Release(packet.header_piece);
  }
}

template <typename Driver>
void HeaderSplitReceiver<Driver>::Restart() {
  uint16_t id;
  while (driver_.DetachUnused(&id)) {
    for (uint32_t i = 0; i < config_.elements_per_buffer(); ++i) {
      Release(InFlight(id, i));
    }
  }
  driver_.Reset();
  page_next_ = false;
  broken_ = false;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_INL_H_
