#ifndef BASE_SHARED_EVENT_SIGNAL_H_
#define BASE_SHARED_EVENT_SIGNAL_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/event_fd.h"

namespace annulus {

// Signals eventfds that an untrusted process has, too.
//
// That process may have made one blocking, and filled its counter up: then
// write(2) waits until somebody reads it, and no flag and no look at it before
// is a remedy, for both can be done again at any moment. The kernel itself
// signals an eventfd without waiting: here at the end of an operation of
// asynchronous I/O, io_submit(2), which is over at once.
//
// Threads: any; an object for each thread that cares for speed.
class SharedEventSignal {
 public:
  // Fails where the host refuses it (fs.aio-max-nr).
  static absl::StatusOr<SharedEventSignal> Create();

  SharedEventSignal(SharedEventSignal&& other) noexcept;
  SharedEventSignal& operator=(SharedEventSignal&&) = delete;
  ~SharedEventSignal();

  // Never blocks. `fd` is an eventfd; one whose counter is at its end stays so.
  void Signal(int fd) const;

 private:
  SharedEventSignal(uint64_t context, EventFd ready);

  uint64_t context_;  // aio_context_t; 0: moved away.
  EventFd ready_;     // Always readable: what the operation waits for.
};

}  // namespace annulus

#endif  // BASE_SHARED_EVENT_SIGNAL_H_
