#include "devices/vhost_user/back_end/call_interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/status_macros.h"

namespace annulus::vhost_user {

absl::StatusOr<std::unique_ptr<CallInterrupt>> CallInterrupt::Create(
    const SharedEventSignal& signal) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd fd, EventFd::Create());
  return std::unique_ptr<CallInterrupt>(
      new CallInterrupt(signal, std::move(fd)));
}

absl::Status CallInterrupt::Connect(const UniqueFd& fd) {
  if (::dup3(fd.get(), fd_.fd(), O_CLOEXEC) < 0) {
    return absl::ErrnoToStatus(errno, "replacing a vring's eventfd");
  }
  connected_.store(true, std::memory_order_relaxed);
  return absl::OkStatus();
}

void CallInterrupt::Trigger() {
  if (connected_.load(std::memory_order_relaxed)) signal_.Signal(fd_.fd());
}

}  // namespace annulus::vhost_user
