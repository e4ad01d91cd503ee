#ifndef BASE_COUNTER_H_
#define BASE_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace annulus {

// A number that one thread counts up and any other may read.
//
// Threads: Add() on one thread at a time; value() from any.
class Counter {
 public:
  // Hot. A load and a store: no locked instruction.
  void Add(uint64_t amount) {
    // Relaxed: the number guards no other memory.
    value_.store(value_.load(std::memory_order_relaxed) + amount,
                 std::memory_order_relaxed);
  }

  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace annulus

#endif  // BASE_COUNTER_H_
