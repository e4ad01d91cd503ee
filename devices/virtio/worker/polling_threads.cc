#include "devices/virtio/worker/polling_threads.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace annulus::virtio {

absl::StatusOr<std::shared_ptr<PollingThread>> PollingThreads::Of(
    const WorkerPolicy& policy, size_t index) {
  const std::optional<int> cpu = policy.CpuOf(index);
  if (policy.poll != WorkerPolicy::Poll::kAlways || !cpu.has_value()) {
    return std::shared_ptr<PollingThread>();
  }
  std::weak_ptr<PollingThread>& known = of_cpu_[*cpu];
  std::shared_ptr<PollingThread> thread = known.lock();
  if (thread == nullptr) {
    ANNULUS_ASSIGN_OR_RETURN(
        thread,
        PollingThread::Create(absl::StrCat(owner_, "/cpu", *cpu), *cpu));
    known = thread;
  }
  return thread;
}

}  // namespace annulus::virtio
