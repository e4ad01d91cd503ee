#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_FRAMES_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_FRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/spec/net.h"

namespace annulus::bench {

// One frame as a switch would hand it over, with the header in front of it.
struct BenchFrame {
  std::array<uint8_t, virtio::kNetHeaderBytes> net_header = {};
  size_t offset = 0;  // In the memory of all.
  uint32_t bytes = 0;
};

// What a receiver is to receive: frames that were made beforehand and come
// again and again. Each names its place in the order in its source address, so
// a receiver knows what it has and whether any is missing.
class BenchFrames {
 public:
  // A TCP stream over IPv4, with timestamps, of segments of `payload` bytes; as
  // GSO frames where a segment on the wire would be larger than `mtu`. `mixed`:
  // of the frames 1 in 4 is a pure ACK, 1 in 16 an IPv4 fragment or ARP, at
  // random. As many as fill `memory` bytes.
  BenchFrames(uint32_t payload, uint32_t mtu, bool mixed, size_t memory);

  uint32_t count() const { return static_cast<uint32_t>(frames_.size()); }
  const BenchFrame& at(uint32_t index) const { return frames_[index]; }
  absl::Span<const uint8_t> BytesOf(uint32_t index) const {
    return absl::MakeConstSpan(memory_).subspan(frames_[index].offset,
                                                frames_[index].bytes);
  }
  // The index that a frame names. REQUIRES: 14 bytes or more.
  static uint32_t IndexIn(const uint8_t* frame);

 private:
  void Add(const std::vector<uint8_t>& frame);
  void AddSegment(uint32_t payload, uint32_t mtu);
  void AddFragment();
  void AddArp();

  std::vector<uint8_t> memory_;
  std::vector<BenchFrame> frames_;
};

// How many bytes of a frame are its headers if it is of the stream and has a
// payload, else 0: what any receiver finds out before it can keep a payload.
// REQUIRES: 54 bytes or more.
inline uint32_t StreamHeaderBytes(const uint8_t* frame) {
  const bool tcp4 = frame[12] == 0x08 && frame[13] == 0 && frame[23] == 6 &&
                    (frame[20] & 0x3f) == 0 && frame[21] == 0;
  if (!tcp4) return 0;
  const uint32_t ip = (frame[14] & 15u) * 4;
  const uint32_t headers = ip + (frame[14 + ip + 12] >> 4) * 4u;
  const uint32_t total = frame[16] * 256u + frame[17];
  return total > headers ? 14 + headers : 0;
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_FRAMES_H_
