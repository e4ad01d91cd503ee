#include "devices/virtio/vsock/queues/rx_buffers.h"

#include <algorithm>

#include "absl/base/optimization.h"
#include "base/check.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

// Twice the queue: the first buffer is in use while the next one is taken, and
// each may have as many descriptors as the queue.
uint16_t MaxElements(uint16_t max_queue_size) {
  return static_cast<uint16_t>(std::min(2 * max_queue_size, 0xffff));
}

}  // namespace

RxBuffers::RxBuffers(uint16_t max_queue_size, VsockCounters& counters)
    : counters_(counters),
      batch_(max_queue_size, MaxElements(max_queue_size)) {}

void RxBuffers::Start(Virtqueue& queue, bool mergeable) {
  Stop();
  queue_ = &queue;
  mergeable_ = mergeable;
  header_bytes_ = static_cast<uint32_t>(mergeable ? kVsockMergeableHeaderBytes
                                                  : kVsockHeaderBytes);
}

void RxBuffers::Stop() {
  queue_ = nullptr;
  batch_.Abandon();
  bytes_ = 0;
  vector_count_ = 0;
}

// Hot.
void RxBuffers::TakeMore() {
  const size_t before = chains().size();
  const uint32_t more = queue_->TakeMore(batch_);
  for (const DescriptorChain& chain : chains().subspan(before, more)) {
    bytes_ += chain.writable_bytes();
  }
}

// The first `count` buffers were pushed.
void RxBuffers::ReleaseFront(uint32_t count) {
  for (const DescriptorChain& chain : chains().first(count)) {
    bytes_ -= chain.writable_bytes();
  }
  batch_.Release(count);
}

// Hot. Whether there is a buffer for the next packet: one of `least` bytes.
// Those that are of no use must not stand in the way.
bool RxBuffers::FindFront(uint32_t least) {
  while (true) {
    if (chains().empty()) TakeMore();
    if (chains().empty()) return false;
    if (ABSL_PREDICT_TRUE(chains()[0].writable_bytes() >= least)) return true;
    queue_->Push(chains()[0], 0);
    ReleaseFront(1);
    counters_.malformed.Add(1);
  }
}

// Hot. The same for a packet with payload, and for as much more of it as there
// are buffers.
bool RxBuffers::FindRoom(uint64_t payload) {
  if (!FindFront(LeastForPayload())) return false;
  if (bytes_ < header_bytes_ * chains().size() + payload) TakeMore();
  return true;
}

// Hot. How much payload the next packet can have. REQUIRES: FindRoom().
uint32_t RxBuffers::Capacity() {
  uint64_t bytes = chains()[0].writable_bytes() - header_bytes_;
  if (mergeable_) {
    for (const DescriptorChain& chain : chains().subspan(1)) {
      if (bytes >= kMaxPayload) break;
      bytes += chain.writable_bytes();
    }
  }
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, kMaxPayload));
}

// Hot.
bool RxBuffers::Put(const PacketHeader& header) {
  ANNULUS_DCHECK(header.len == 0);
  if (!FindFront(header_bytes_)) return false;
  Send(header);
  return true;
}

// Hot.
uint64_t RxBuffers::Put(const PacketHeader& header,
                        absl::Span<const uint8_t> payload, uint32_t max_packets,
                        uint32_t& packets) {
  uint64_t done = 0;
  for (; done != payload.size() && max_packets != 0; --max_packets) {
    if (!FindRoom(payload.size() - done)) break;
    const absl::Span<const uint8_t> piece = payload.subspan(done, Capacity());
    if (piece.empty()) break;
    CopyIn(header_bytes_, piece);
    done += piece.size();
    PacketHeader one = header;
    one.len = static_cast<uint32_t>(piece.size());
    if (done != payload.size()) one.flags = 0;
    Send(one);
    ++packets;
  }
  return done;
}

// Hot.
absl::Span<const iovec> RxBuffers::Room(uint64_t max_bytes,
                                        uint32_t max_packets) {
  vector_count_ = 0;
  if (!FindRoom(max_bytes)) return {};
  size_t next = 0;
  for (; max_packets != 0 && max_bytes != 0 && next < chains().size() &&
         vector_count_ < kMaxVectors;
       --max_packets) {
    if (chains()[next].writable_bytes() < LeastForPayload()) break;
    next = AddPacket(next, max_bytes);
  }
  return absl::MakeConstSpan(vectors_.data(), vector_count_);
}

// Hot. Adds the vectors of one packet, which begins with buffer `first`, and
// has `left` bytes at most, from which it takes its own. Returns the buffer
// behind it.
size_t RxBuffers::AddPacket(size_t first, uint64_t& left) {
  const absl::Span<const DescriptorChain> all = chains();
  size_t skip = header_bytes_;
  uint64_t packet = std::min<uint64_t>(left, kMaxPayload);
  size_t next = first;
  do {
    for (const ChainElement& element : all[next].writable()) {
      if (packet == 0 || vector_count_ == kMaxVectors) break;
      const size_t size = element.span.size();
      if (skip >= size) {
        skip -= size;
        continue;
      }
      const size_t here = std::min<uint64_t>(size - skip, packet);
      vectors_[vector_count_++] = element.span.Subspan(skip, here).AsIovec();
      skip = 0;
      packet -= here;
      left -= here;
    }
    ++next;
  } while (mergeable_ && packet != 0 && vector_count_ != kMaxVectors &&
           next != all.size());
  return next;
}

// Hot.
uint32_t RxBuffers::Commit(const PacketHeader& header, uint64_t bytes) {
  uint32_t packets = 0;
  for (; bytes != 0; ++packets) {
    PacketHeader one = header;
    one.len = static_cast<uint32_t>(std::min<uint64_t>(bytes, Capacity()));
    bytes -= one.len;
    if (bytes != 0) one.flags = 0;
    Send(one);
  }
  vector_count_ = 0;
  return packets;
}

// Copies to the next packet, from `offset` of it on.
void RxBuffers::CopyIn(uint64_t offset, absl::Span<const uint8_t> bytes) {
  for (const DescriptorChain& chain : chains()) {
    for (const ChainElement& element : chain.writable()) {
      if (bytes.empty()) return;
      const size_t size = element.span.size();
      if (offset >= size) {
        offset -= size;
        continue;
      }
      const size_t here = std::min<uint64_t>(size - offset, bytes.size());
      element.span.CopyIn(offset, bytes.first(here));
      bytes.remove_prefix(here);
      offset = 0;
    }
  }
}

// Hot. Sends the next packet, whose payload is in place. REQUIRES: the buffers
// have room for it.
void RxBuffers::Send(const PacketHeader& header) {
  const absl::Span<DescriptorChain> all = chains();
  const uint64_t total = uint64_t{header_bytes_} + header.len;
  uint32_t count = 0;
  for (uint64_t room = 0; room < total; ++count) {
    room += all[count].writable_bytes();
  }
  std::array<uint8_t, kVsockMergeableHeaderBytes> bytes;
  EncodePacketHeader(header, absl::MakeSpan(bytes));
  // The size of a queue fits into le16.
  bytes[kVsockHeaderNumBuffers] = static_cast<uint8_t>(count);
  bytes[kVsockHeaderNumBuffers + 1] = static_cast<uint8_t>(count >> 8);
  CopyIn(0, absl::MakeConstSpan(bytes.data(), header_bytes_));
  uint64_t left = total;
  for (DescriptorChain& chain : all.first(count)) {
    const uint32_t written =
        static_cast<uint32_t>(std::min<uint64_t>(left, chain.writable_bytes()));
    queue_->Push(chain, written);
    left -= written;
  }
  ReleaseFront(count);
  counters_.packets.Add(1);
  counters_.bytes.Add(header.len);
}

}  // namespace annulus::virtio
