#ifndef DEVICES_VIRTIO_NET_SWITCH_FRAME_SEGMENTS_H_
#define DEVICES_VIRTIO_NET_SWITCH_FRAME_SEGMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/net/net_header.h"

namespace annulus::virtio {

// What offloads leave to whoever passes a frame on, done here: for a driver
// that did not ask for frames like that.

// Hot. Makes the checksum that NEEDS_CSUM asks for. REQUIRES: CheckNetHeader()
// let `header` pass for a frame of this length.
void CompleteChecksum(const NetHeader& header, absl::Span<uint8_t> frame);

// The packets of a wire that a frame of TCP or UDP segmentation offload stands
// for, with all of their checksums (virtio 1.4 §5.1.6.2 "Packet Transmission").
//
// Threads: a value, which refers to the frame.
// Trust: the frame is a guest's. It lies in memory that the guest does not see.
// Allocation: none.
class FrameSegments {
 public:
  // Of one frame, at most: more is an attack, where a byte costs a packet.
  static constexpr size_t kMaxSegments = 512;

  // Nothing, if the frame is not what its header says. REQUIRES: as above, and
  // gso_type is that of TSO or USO.
  static std::optional<FrameSegments> Of(const NetHeader& header,
                                         absl::Span<const uint8_t> frame);

  size_t count() const { return count_; }
  // Hot. REQUIRES: i < count(). Write() has room for bytes(i).
  size_t bytes(size_t i) const { return header_bytes_ + PayloadOf(i); }
  void Write(size_t i, uint8_t* to) const;

 private:
  FrameSegments(const NetHeader& header, absl::Span<const uint8_t> frame)
      : header_(header), frame_(frame) {}

  bool Parse();
  bool ParseNetwork();
  size_t PayloadOf(size_t i) const;
  void WriteNetwork(size_t i, size_t payload, uint8_t* to) const;
  void WriteTransport(size_t i, size_t payload, uint8_t* to) const;

  NetHeader header_;
  absl::Span<const uint8_t> frame_;
  bool tcp_ = false;
  bool ipv4_ = false;
  size_t network_ = 0;       // Where the IP header begins.
  size_t header_bytes_ = 0;  // Of all headers together.
  size_t count_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_FRAME_SEGMENTS_H_
