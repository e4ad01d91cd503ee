#include "base/shared_event_signal.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace annulus {

static_assert(std::is_same_v<aio_context_t, __kernel_ulong_t> &&
              sizeof(aio_context_t) == sizeof(uint64_t));

absl::StatusOr<SharedEventSignal> SharedEventSignal::Create() {
  ANNULUS_ASSIGN_OR_RETURN(EventFd ready, EventFd::Create());
  ready.Signal();
  aio_context_t context = 0;
  // As many at the same time as threads can be here; the kernel takes more.
  if (::syscall(SYS_io_setup, 8, &context) != 0) {
    return absl::ErrnoToStatus(
        errno, "io_setup, for notifications that never wait (fs.aio-max-nr)");
  }
  return SharedEventSignal(context, std::move(ready));
}

SharedEventSignal::SharedEventSignal(uint64_t context, EventFd ready)
    : context_(context), ready_(std::move(ready)) {}

SharedEventSignal::SharedEventSignal(SharedEventSignal&& other) noexcept
    : context_(std::exchange(other.context_, 0)),
      ready_(std::move(other.ready_)) {}

SharedEventSignal::~SharedEventSignal() {
  if (context_ != 0) ::syscall(SYS_io_destroy, context_);
}

void SharedEventSignal::Signal(int fd) const {
  iocb operation = {};
  operation.aio_lio_opcode = IOCB_CMD_POLL;
  operation.aio_fildes = static_cast<uint32_t>(ready_.fd());
  operation.aio_buf = POLLIN;
  operation.aio_flags = IOCB_FLAG_RESFD;
  operation.aio_resfd = static_cast<uint32_t>(fd);
  iocb* operations[] = {&operation};
  ::syscall(SYS_io_submit, context_, 1, operations);
  // Makes room for the next.
  io_event done;
  ::syscall(SYS_io_getevents, context_, 0, 1, &done, nullptr);
}

}  // namespace annulus
