#ifndef BASE_EVENT_FD_H_
#define BASE_EVENT_FD_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus {

// An eventfd(2) used as a doorbell: any number of Signal() calls before a
// Drain() wake once.
//
// Threads: Signal() and Drain() from any thread, also another process's.
class EventFd {
 public:
  // Non-blocking and close-on-exec. Fails when descriptors run out.
  static absl::StatusOr<EventFd> Create();

  // Adopts a descriptor that is already an eventfd.
  explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}

  // Never blocks. A saturated counter is already signalled, so the error of
  // that case is ignored.
  void Signal() const;

  // Takes the count back to zero, and returns it: how often it was signalled.
  uint64_t Drain() const;

  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace annulus

#endif  // BASE_EVENT_FD_H_
