#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_RECORDING_SINK_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_RECORDING_SINK_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_sink.h"

namespace annulus::virtio {

// A guest's rx virtqueue, for tests of who sends to it: so and so many buffers
// of one size, one for each packet.
class RecordingSink : public PacketSink {
 public:
  struct Packet {
    PacketHeader header;
    std::string payload;
  };

  explicit RecordingSink(size_t buffers = SIZE_MAX, size_t buffer_bytes = 4096)
      : buffers(buffers), buffer_bytes_(buffer_bytes), room_(buffer_bytes) {}

  bool Put(const PacketHeader& header) override {
    if (buffers == 0 || header.len != 0) return false;
    --buffers;
    packets.push_back({header, ""});
    return true;
  }

  uint64_t Put(const PacketHeader& header, absl::Span<const uint8_t> payload,
               uint32_t max_packets, uint32_t& packet_count) override {
    uint64_t sent = 0;
    while (sent < payload.size() && buffers != 0 && max_packets != 0) {
      const auto piece = payload.subspan(sent, buffer_bytes_);
      sent += piece.size();
      Packet packet{header, std::string(piece.begin(), piece.end())};
      packet.header.len = static_cast<uint32_t>(piece.size());
      if (sent < payload.size()) packet.header.flags = 0;
      packets.push_back(packet);
      --buffers;
      --max_packets;
      ++packet_count;
    }
    return sent;
  }

  absl::Span<const iovec> Room(uint64_t max_bytes, uint32_t) override {
    vector_ = {room_.data(), std::min<size_t>(max_bytes, room_.size())};
    return absl::MakeConstSpan(&vector_, buffers == 0 ? 0 : 1);
  }

  uint32_t Commit(const PacketHeader& header, uint64_t bytes) override {
    uint32_t count = 0;
    const auto payload = absl::MakeConstSpan(room_).subspan(0, bytes);
    return Put(header, payload, 1, count) == bytes ? count : 0;
  }

  // "REQUEST", "RW" and so on of what came since the last call.
  std::vector<uint16_t> TakeOps() {
    std::vector<uint16_t> ops;
    for (const Packet& packet : packets) ops.push_back(packet.header.op);
    packets.clear();
    return ops;
  }

  size_t buffers;  // That are left.
  std::vector<Packet> packets;

 private:
  const size_t buffer_bytes_;
  std::vector<uint8_t> room_;
  iovec vector_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_RECORDING_SINK_H_
