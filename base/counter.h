#ifndef BASE_COUNTER_H_
#define BASE_COUNTER_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

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

// Is told of several counters, one after the other: its name, and of what else
// it is, such as why frames were dropped, or nothing.
using CounterVisitor = absl::FunctionRef<void(
    absl::string_view name, absl::string_view reason, uint64_t value)>;

}  // namespace annulus

#endif  // BASE_COUNTER_H_
