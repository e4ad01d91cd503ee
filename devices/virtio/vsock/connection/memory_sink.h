#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_MEMORY_SINK_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_MEMORY_SINK_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_sink.h"

namespace annulus::virtio {

// A packet as the guest sees it.
struct SentPacket {
  PacketHeader header;
  std::string payload;
};

// The guest's receive buffers without a virtqueue: for tests of who sends.
// Each of `buffers` takes one packet of up to `buffer_bytes` of payload.
//
// Threads: thread-compatible.
class MemorySink : public PacketSink {
 public:
  MemorySink(size_t buffers, size_t buffer_bytes)
      : buffers_(buffers), buffer_bytes_(buffer_bytes) {}

  void AddBuffers(size_t count) { buffers_ += count; }
  void set_buffers(size_t count) { buffers_ = count; }
  size_t buffers() const { return buffers_; }
  bool empty() const { return packets_.empty(); }

  // REQUIRES: !empty().
  SentPacket Take() {
    SentPacket packet = packets_.front();
    packets_.pop_front();
    return packet;
  }

  bool Put(const PacketHeader& header) override {
    ANNULUS_CHECK(header.len == 0);
    if (buffers_ == 0) return false;
    --buffers_;
    packets_.push_back({.header = header, .payload = ""});
    return true;
  }

  uint64_t Put(const PacketHeader& header, absl::Span<const uint8_t> payload,
               uint32_t max_packets, uint32_t& packets) override {
    const absl::Span<const iovec> room = Room(payload.size(), max_packets);
    uint64_t bytes = 0;
    for (const iovec& vector : room) {
      std::memcpy(vector.iov_base, payload.data() + bytes, vector.iov_len);
      bytes += vector.iov_len;
    }
    if (bytes == 0) return 0;
    PacketHeader sent = header;
    if (bytes != payload.size()) sent.flags = 0;
    packets += Commit(sent, bytes);
    return bytes;
  }

  absl::Span<const iovec> Room(uint64_t max_bytes,
                               uint32_t max_packets) override {
    ANNULUS_CHECK(max_bytes != 0 && max_packets != 0);
    vectors_.clear();
    room_.clear();
    const uint64_t wanted = (max_bytes + buffer_bytes_ - 1) / buffer_bytes_;
    const uint64_t count =
        std::min<uint64_t>({wanted, max_packets, buffers_, uint64_t{IOV_MAX}});
    for (uint64_t i = 0; i < count; ++i) {
      const size_t bytes =
          static_cast<size_t>(std::min<uint64_t>(buffer_bytes_, max_bytes));
      max_bytes -= bytes;
      room_.emplace_back(bytes, '\0');
    }
    for (std::string& piece : room_) {
      vectors_.push_back({piece.data(), piece.size()});
    }
    return vectors_;
  }

  uint32_t Commit(const PacketHeader& header, uint64_t bytes) override {
    ANNULUS_CHECK(bytes != 0);
    uint32_t count = 0;
    for (; bytes != 0; ++count) {
      ANNULUS_CHECK(count < room_.size());
      std::string payload = room_[count].substr(0, bytes);
      bytes -= payload.size();
      PacketHeader sent = header;
      sent.len = static_cast<uint32_t>(payload.size());
      if (bytes != 0) sent.flags = 0;
      packets_.push_back({.header = sent, .payload = std::move(payload)});
      --buffers_;
    }
    return count;
  }

 private:
  size_t buffers_;
  const size_t buffer_bytes_;
  std::deque<SentPacket> packets_;
  std::vector<iovec> vectors_;
  std::vector<std::string> room_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_MEMORY_SINK_H_
