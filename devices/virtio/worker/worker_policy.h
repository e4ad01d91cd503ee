#ifndef DEVICES_VIRTIO_WORKER_WORKER_POLICY_H_
#define DEVICES_VIRTIO_WORKER_WORKER_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace annulus::virtio {

// How the workers of a device spend their time between two pieces of work.
struct WorkerPolicy {
  enum class Poll : uint8_t {
    kNever,     // Sleep at once, until a notification.
    kAdaptive,  // Look for work for up to poll_duration while that pays off.
    // Never sleep while there is something to look for: the processor is the
    // worker's own.
    kAlways,
  };
  Poll poll = Poll::kAdaptive;
  absl::Duration poll_duration = absl::ZeroDuration();  // 0: as kNever.
  // Host CPUs of the device's workers, in the order of its queues, again from
  // the first where there are fewer; empty: not pinned.
  std::vector<int> cpus = {};

  // That of the worker of queue `index`.
  std::optional<int> CpuOf(size_t index) const {
    if (cpus.empty()) return std::nullopt;
    return cpus[index % cpus.size()];
  }
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_WORKER_POLICY_H_
