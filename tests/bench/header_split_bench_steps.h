#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_STEPS_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_STEPS_H_

#include <x86intrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace annulus::bench {

// How long the steps of one thread take, in ticks of the time stamp counter,
// without the few that waited for the other thread or lost their CPU: those of
// the longest 3 % are left out. So it says which thread sets the pace, and
// something where a CPU is not this program's alone.
//
// Threads: thread-compatible.
class StepTimes {
 public:
  // Room for `steps`; without any, nothing is recorded.
  void Reserve(size_t steps) {
    steps_.resize(steps);
    count_ = 0;
  }
  bool on() const { return !steps_.empty(); }

  // Hot. One step of `frames` frames.
  void Add(uint64_t ticks, uint32_t frames) {
    if (count_ < steps_.size()) steps_[count_++] = {ticks, frames};
  }
  // Hot. A frame from the last call of this to this one.
  void Frame() {
    const uint64_t now = __rdtsc();
    Add(now - last_, 1);
    last_ = now;
  }

  double TicksPerFrame() {
    const auto end = steps_.begin() + static_cast<ptrdiff_t>(count_);
    std::sort(steps_.begin(), end, [](const Step& a, const Step& b) {
      return a.ticks * b.frames < b.ticks * a.frames;
    });
    double ticks = 0;
    double frames = 0;
    for (size_t i = 0; i < count_ - count_ * 3 / 100; ++i) {
      ticks += static_cast<double>(steps_[i].ticks);
      frames += steps_[i].frames;
    }
    return frames == 0 ? 0 : ticks / frames;
  }

 private:
  struct Step {
    uint64_t ticks = 0;
    uint32_t frames = 0;
  };

  std::vector<Step> steps_;
  size_t count_ = 0;
  uint64_t last_ = 0;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_STEPS_H_
