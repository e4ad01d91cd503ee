#include "devices/virtio/worker/polling_threads.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace annulus::virtio {

absl::StatusOr<std::shared_ptr<PollingThread>> PollingThreads::Of(
    size_t index) {
  const std::optional<int> cpu = policy_.CpuOf(index);
  if (policy_.poll != WorkerPolicy::Poll::kAlways || !cpu.has_value()) {
    return std::shared_ptr<PollingThread>();
  }
  std::shared_ptr<PollingThread>& thread = of_cpu_[*cpu];
  if (thread == nullptr) {
    ANNULUS_ASSIGN_OR_RETURN(
        thread,
        PollingThread::Create(absl::StrCat(device_, "/cpu", *cpu), *cpu));
  }
  return thread;
}

}  // namespace annulus::virtio
