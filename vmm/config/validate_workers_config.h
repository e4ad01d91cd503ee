#ifndef VMM_CONFIG_VALIDATE_WORKERS_CONFIG_H_
#define VMM_CONFIG_VALIDATE_WORKERS_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace annulus {

inline constexpr uint32_t kMaxPollMicroseconds = 1'000'000;
inline constexpr size_t kMaxWorkerCpus = 64;  // A device has fewer queues.

// The part of ValidateVmConfig() that is about the threads of a device's
// queues; `at` is the device, such as "net[0]". Which CPUs there are is known
// when the device is made.
//
// Trust: every number is untrusted.
absl::Status CheckWorkers(absl::string_view at, uint32_t poll_microseconds,
                          const std::vector<uint32_t>& worker_cpus);

template <typename Config>
absl::Status ValidateWorkers(absl::string_view at, const Config& config) {
  return CheckWorkers(at, config.poll_microseconds, config.worker_cpus);
}

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_WORKERS_CONFIG_H_
