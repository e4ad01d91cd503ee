#ifndef VMM_MACHINE_WORKER_POLICY_OF_H_
#define VMM_MACHINE_WORKER_POLICY_OF_H_

#include "absl/time/time.h"
#include "devices/virtio/worker/worker_policy.h"
#include "vmm/config/vm_config.h"

namespace annulus {

inline virtio::WorkerPolicy::Poll PollOf(PollKind poll) {
  switch (poll) {
    case PollKind::kAdaptive:
      return virtio::WorkerPolicy::Poll::kAdaptive;
    case PollKind::kAlways:
      return virtio::WorkerPolicy::Poll::kAlways;
    case PollKind::kNever:
      return virtio::WorkerPolicy::Poll::kNever;
  }
  return virtio::WorkerPolicy::Poll::kAdaptive;
}

// What the configuration of a device says about its workers.
template <typename Config>
virtio::WorkerPolicy WorkerPolicyOf(const Config& config) {
  virtio::WorkerPolicy policy;
  policy.poll = PollOf(config.poll);
  policy.poll_duration = absl::Microseconds(config.poll_microseconds);
  policy.cpus.assign(config.worker_cpus.begin(), config.worker_cpus.end());
  return policy;
}

}  // namespace annulus

#endif  // VMM_MACHINE_WORKER_POLICY_OF_H_
