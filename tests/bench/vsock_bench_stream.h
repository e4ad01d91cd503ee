#ifndef TESTS_BENCH_VSOCK_BENCH_STREAM_H_
#define TESTS_BENCH_VSOCK_BENCH_STREAM_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"

// What is sent on a connection, so that whoever receives it can tell.

namespace annulus::bench {

// Bytes of a stream by their place in it. Each connection's begins elsewhere,
// so that none can pass for another.
//
// Threads: constant.
class Pattern {
 public:
  // At most so many bytes at a time.
  static constexpr size_t kMost = 65536;

  Pattern() {
    uint64_t state = 1;
    for (uint8_t& byte : bytes_) {
      state = state * 6364136223846793005 + 1442695040888963407;
      byte = static_cast<uint8_t>(state >> 56);
    }
    std::copy_n(bytes_.begin(), kMost, bytes_.begin() + kPeriod);
  }

  // kMost bytes, from byte `offset` of connection `number` on.
  const uint8_t* At(uint32_t number, uint64_t offset) const {
    return bytes_.data() + (offset + number * uint64_t{4099}) % kPeriod;
  }

  // That these are right, all of them or the first and the last few.
  void Check(uint32_t number, uint64_t offset, const uint8_t* data,
             size_t bytes, bool all) const {
    const uint8_t* const right = At(number, offset);
    const size_t few = all ? bytes : std::min<size_t>(bytes, 8);
    ANNULUS_CHECK(std::memcmp(data, right, few) == 0);
    ANNULUS_CHECK(std::memcmp(data + bytes - few, right + bytes - few, few) ==
                  0);
  }

 private:
  // Fits into a second-level cache.
  static constexpr size_t kPeriod = 131101;

  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kPeriod + kMost);
};

// How a transfer is to end, and how far it came.
//
// Threads: any; count() is for one writer.
class Transfer {
 public:
  // What each connection carries in the end while every byte is checked.
  static constexpr uint64_t TailBytes(uint32_t connections) {
    return std::max<uint64_t>((4 << 20) / connections, 32768);
  }

  void Stop() { stopped_.store(true, std::memory_order_release); }
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  void Count(uint64_t bytes) {
    received_.store(received_.load(std::memory_order_relaxed) + bytes,
                    std::memory_order_relaxed);
  }
  uint64_t received() const {
    return received_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> stopped_{false};
  alignas(128) std::atomic<uint64_t> received_{0};
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_VSOCK_BENCH_STREAM_H_
