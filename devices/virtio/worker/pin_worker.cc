#include "devices/virtio/worker/pin_worker.h"

#include "absl/strings/str_cat.h"
#include "base/thread_affinity.h"

namespace annulus::virtio {

absl::Status PinWorker(const Thread& thread, absl::string_view name,
                       std::optional<int> cpu) {
  if (!cpu.has_value()) return absl::OkStatus();
  absl::Status pinned = PinThread(thread.handle(), *cpu);
  if (pinned.ok()) return pinned;
  return absl::Status(pinned.code(),
                      absl::StrCat("worker of ", name, ": ", pinned.message()));
}

}  // namespace annulus::virtio
