#include "base/thread_affinity.h"

#include <sched.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace annulus {

absl::Status PinThread(pthread_t thread, int cpu) {
  int error = EINVAL;
  if (cpu >= 0 && cpu < CPU_SETSIZE) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    error = pthread_setaffinity_np(thread, sizeof(set), &set);
  }
  if (error == 0) return absl::OkStatus();
  // What the system call says of both: "Invalid argument".
  if (error == EINVAL) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the host has no CPU ", cpu, ", or this process may not use it"));
  }
  return absl::ErrnoToStatus(error, absl::StrCat("pinning to CPU ", cpu));
}

}  // namespace annulus
