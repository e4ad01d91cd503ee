#ifndef TESTS_BENCH_NOTIFICATION_LINE_H_
#define TESTS_BENCH_NOTIFICATION_LINE_H_

#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cstdint>

#include "base/check.h"

namespace annulus::bench {

// One direction of notifications between the two threads of a ring bench: an
// eventfd, with the time of a virtual machine's exit and entry around each use.
// tools/virtio/ringtest charges the same (VMEXIT_CYCLES and VMENTRY_CYCLES of
// its main.h), so that its rings and ours are compared on equal terms.
//
// Threads: one signals, one waits.
class NotificationLine {
 public:
  NotificationLine() : fd_(eventfd(0, EFD_CLOEXEC)) { ANNULUS_CHECK(fd_ >= 0); }
  NotificationLine(const NotificationLine&) = delete;
  NotificationLine& operator=(const NotificationLine&) = delete;
  ~NotificationLine() { close(fd_); }

  void Signal() {
    ++sent_;
    const uint64_t one = 1;
    SpendCycles();
    ANNULUS_CHECK(write(fd_, &one, sizeof(one)) == sizeof(one));
    SpendCycles();
  }

  void Wait() {
    uint64_t count;
    SpendCycles();
    ANNULUS_CHECK(read(fd_, &count, sizeof(count)) == sizeof(count));
    SpendCycles();
  }

  // How often the signalling thread did.
  uint64_t sent() const { return sent_; }

 private:
  static void SpendCycles() {
    constexpr uint64_t kCycles = 500;
    const uint64_t start = __rdtsc();
    while (__rdtsc() - start < kCycles) {
    }
  }

  const int fd_;
  uint64_t sent_ = 0;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_NOTIFICATION_LINE_H_
