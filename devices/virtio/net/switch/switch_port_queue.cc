#include "devices/virtio/net/switch/switch_port_queue.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "absl/base/optimization.h"
#include "base/clock.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/plain_frames.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/net/switch/learned_addresses.h"
#include "devices/virtio/spec/net.h"

// Frames whose receivers take them as they are; what is to be done for others
// is in complete_frame.cc.

namespace annulus::virtio {
namespace {

constexpr size_t kMacBytes = 6;
constexpr size_t kMaxBytes = kNetHeaderBytes + kNetMaxFrameBytes;
static_assert(kMaxBytes <= FrameRing::kMaxFrameBytes);

// Of the first bytes of `from`, which has two more.
uint64_t AddressOf(const uint8_t* from) {
  uint64_t bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return __builtin_bswap64(bytes) >> 16;
}

// "the Individual/Group bit", IEEE 802 §8.2.2.
bool IsGroup(uint64_t address) { return (address >> 40 & 1) != 0; }

uint32_t Seconds() {
  return static_cast<uint32_t>(MonotonicNanoseconds() / 1'000'000'000);
}

const uint8_t* HeaderOf(absl::Span<const iovec> frame) {
  return static_cast<const uint8_t*>(frame[0].iov_base);
}

// Whether a driver takes the frame as it is (virtio 1.4 §5.1.6.4 "Processing of
// Incoming Packets", device requirements).
bool Takes(const FrameSwitch::Route& route, const uint8_t* header) {
  // No offload: the common case of short frames.
  if ((header[0] | header[1]) == 0) return true;
  const uint8_t gso_type = header[1] & ~kNetGsoEcn;
  return route.csum && gso_type < 8 && (route.gso_types >> gso_type & 1) != 0 &&
         ((header[1] & kNetGsoEcn) == 0 || route.ecn);
}

}  // namespace

SwitchPortQueue::SwitchPortQueue(FrameSwitch& frame_switch, uint8_t port,
                                 uint8_t slot, uint8_t index)
    : switch_(frame_switch),
      inbox_(frame_switch.inbox(slot)),
      port_(port),
      slot_(slot),
      index_(index),
      copy_(std::make_unique_for_overwrite<uint8_t[]>(kMaxBytes)) {}

void SwitchPortQueue::BeginBatch() {
  if (!flushed_) return;
  flushed_ = false;
  now_ = Seconds();
  found_key_ = 0;
}

// Hot.
void SwitchPortQueue::Learn(uint64_t source) {
  if (ABSL_PREDICT_TRUE(source == last_key_ && now_ == last_seen_)) return;
  if (IsGroup(source)) return;
  switch_.addresses().Learn(source, port_, now_);
  last_key_ = source;
  last_seen_ = now_;
}

// Hot. What was found stays so for the rest of the batch: as if that had been
// on its way a little earlier.
std::optional<uint8_t> SwitchPortQueue::Find(uint64_t destination) {
  if (ABSL_PREDICT_TRUE(destination == found_key_ && found_key_ != 0)) {
    return found_port_;
  }
  if (IsGroup(destination)) return std::nullopt;
  const std::optional<uint8_t> port =
      switch_.addresses().Find(destination, now_);
  if (port.has_value()) {
    found_key_ = destination;
    found_port_ = *port;
  }
  return port;
}

// Hot.
Transfer SwitchPortQueue::Send(absl::Span<const iovec> frame, uint32_t bytes) {
  uint8_t ends[kEthernetHeaderBytes];
  if (ABSL_PREDICT_FALSE(
          bytes < kNetHeaderBytes + kEthernetHeaderBytes || bytes > kMaxBytes ||
          GatherFrame(frame.subspan(1), ends, sizeof(ends)) != sizeof(ends))) {
    return {TransferStatus::kDropped, 0};
  }
  BeginBatch();
  Learn(AddressOf(ends + kMacBytes));
  const std::optional<uint8_t> port = Find(AddressOf(ends));
  if (ABSL_PREDICT_TRUE(port.has_value())) {
    if (ABSL_PREDICT_FALSE(*port == port_)) {
      counters_.filtered.Add(1);
      return {TransferStatus::kDone, bytes};
    }
    if (!Deliver(*port, frame, bytes)) return {TransferStatus::kDropped, 0};
    counters_.forwarded.Add(1);
    return {TransferStatus::kDone, bytes};
  }
  counters_.flooded.Add(1);
  uint64_t others = switch_.ports() & ~(uint64_t{1} << port_);
  for (; others != 0; others &= others - 1) {
    (void)Deliver(static_cast<uint8_t>(std::countr_zero(others)), frame, bytes);
  }
  return {TransferStatus::kDone, bytes};
}

// Hot. Those to one receiver that has room for them. Send() does the others,
// and counts what is lost.
uint32_t SwitchPortQueue::SendPlain(absl::Span<const iovec> frames) {
  BeginBatch();
  PrefetchFrames(frames);
  uint32_t sent = 0;
  std::optional<uint8_t> to;  // Where the last one went, and the ring there.
  FrameRing* ring = nullptr;
  for (const iovec& frame : frames) {
    const auto* const from = static_cast<const uint8_t*>(frame.iov_base);
    if (frame.iov_len < kEthernetHeaderBytes) break;
    Learn(AddressOf(from + kMacBytes));
    const std::optional<uint8_t> port = Find(AddressOf(from));
    if (!port.has_value() || *port == port_) break;
    if (ABSL_PREDICT_FALSE(port != to)) {
      const FrameSwitch::Route route = switch_.route(*port);
      if (!route.open) break;
      const size_t slot = SlotOf(route);
      ring = &switch_.inbox(slot).ring(slot_);
      touched_ |= uint64_t{1} << slot;
      to = port;
    }
    const size_t bytes = kNetHeaderBytes + frame.iov_len;
    uint8_t* const room = ring->Reserve(bytes);
    if (room == nullptr) break;
    CopyPlainFrame({from, frame.iov_len}, {room, bytes});
    ring->Keep();
    ++sent;
  }
  counters_.forwarded.Add(sent);
  return sent;
}

// Hot.
bool SwitchPortQueue::Deliver(uint8_t port, absl::Span<const iovec> frame,
                              uint32_t bytes) {
  const FrameSwitch::Route route = switch_.route(port);
  if (ABSL_PREDICT_FALSE(!route.open)) return false;  // It left just now.
  const size_t slot = SlotOf(route);
  if (ABSL_PREDICT_FALSE(!Takes(route, HeaderOf(frame)))) {
    return DeliverCompleted(route, slot, frame, bytes);
  }
  uint8_t* const room = Reserve(slot, bytes);
  if (ABSL_PREDICT_FALSE(room == nullptr)) return false;
  GatherFrame(frame, room, bytes);
  Keep(slot);
  return true;
}

size_t SwitchPortQueue::SlotOf(const FrameSwitch::Route& route) const {
  const uint8_t pair = index_ < route.active_pairs
                           ? index_
                           : static_cast<uint8_t>(index_ % route.active_pairs);
  return size_t{route.first_slot} + pair;
}

uint8_t* SwitchPortQueue::Reserve(size_t slot, size_t bytes) {
  uint8_t* const room = switch_.inbox(slot).ring(slot_).Reserve(bytes);
  if (ABSL_PREDICT_FALSE(room == nullptr)) counters_.full.Add(1);
  return room;
}

void SwitchPortQueue::Keep(size_t slot) {
  switch_.inbox(slot).ring(slot_).Keep();
  touched_ |= uint64_t{1} << slot;
}

// Hot.
void SwitchPortQueue::Flush() {
  flushed_ = true;
  for (; touched_ != 0; touched_ &= touched_ - 1) {
    const auto slot = static_cast<size_t>(std::countr_zero(touched_));
    SwitchInbox& inbox = switch_.inbox(slot);
    inbox.ring(slot_).Publish();
    inbox.Announce(slot_);
  }
}

// Hot.
Transfer SwitchPortQueue::Receive(absl::Span<const iovec> room) {
  const absl::Span<const uint8_t> front = inbox_.Front();
  if (front.empty()) return {TransferStatus::kAgain, 0};
  ScatterFrame(front, room);
  const auto bytes = static_cast<uint32_t>(front.size());
  inbox_.Pop();
  return {TransferStatus::kDone, bytes};
}

// Hot.
uint32_t SwitchPortQueue::CopyPlain(absl::Span<const iovec> rooms,
                                    absl::Span<uint32_t> bytes) {
  if (inbox_.Front().empty()) return 0;
  FrameRing& ring = inbox_.current();
  copied_end_ = ring.oldest();
  copied_ = CopyPlainFrames(
      ring, copied_end_,
      rooms.first(std::min<size_t>(rooms.size(), inbox_.run_left())), bytes);
  return copied_;
}

}  // namespace annulus::virtio
