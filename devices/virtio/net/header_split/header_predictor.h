#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_PREDICTOR_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_PREDICTOR_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "devices/virtio/net/header_split/split_point.h"

namespace annulus::virtio {

// Guesses where the next frame will be split, before it is read, so that one
// readv(2) can put its payload where it belongs.
//
// Frames come in trains of one flow, and trains of different flows take turns.
// So what is remembered is, for each flow, what came after a frame of it the
// last time. Whoever has no sure guess says so: a frame that is read without
// one is copied once; a wrong guess costs twice that.
//
// Threads: thread-compatible.
// Trust: whoever sends frames can make it guess wrong; that costs time only.
// Allocation: none.
class HeaderPredictor {
 public:
  struct Guess {
    bool sure = false;
    uint32_t header_bytes = 0;  // 0: the frame will not be split.
  };

  // Hot. What the next frame will be.
  Guess Next() const {
    const Entry& entry = after_[last_];
    return {.sure = entry.hits >= kSure, .header_bytes = entry.header_bytes};
  }

  // Hot. What it was. Any guess is as good for a frame that has nothing but a
  // header: it is to be passed over, not learned.
  // REQUIRES: header_bytes <= kMaxSplitHeaderBytes.
  void Learn(uint32_t flow, uint32_t header_bytes) {
    ANNULUS_DCHECK(header_bytes <= kMaxSplitHeaderBytes);
    Entry& entry = after_[last_];
    const uint16_t bytes = static_cast<uint16_t>(header_bytes);
    if (entry.header_bytes == bytes) {
      if (entry.hits < kMost) ++entry.hits;
    } else if (entry.hits > kSure) {
      --entry.hits;  // One frame of another kind between two trains.
    } else {
      entry = {.header_bytes = bytes, .hits = 1};
    }
    last_ = IndexOf(flow);
  }

 private:
  static constexpr uint32_t kEntries = 64;
  static_assert(std::has_single_bit(kEntries));
  static_assert(kMaxSplitHeaderBytes <= UINT16_MAX);
  // Said once and confirmed once.
  static constexpr uint8_t kSure = 2;
  // What was right often is given up only if it is wrong twice.
  static constexpr uint8_t kMost = 3;

  struct Entry {
    uint16_t header_bytes = 0;
    uint8_t hits = 0;  // Less those that were wrong.
  };

  static size_t IndexOf(uint32_t flow) {
    // The upper bits of the product depend on all of the flow's.
    constexpr uint32_t kMultiplier = 0x9e3779b9;  // 2^32 / golden ratio
    return flow * kMultiplier >> (32 - std::countr_zero(kEntries));
  }

  // By the flow before; the last is for the very first frame.
  std::array<Entry, kEntries + 1> after_ = {};
  size_t last_ = kEntries;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_PREDICTOR_H_
