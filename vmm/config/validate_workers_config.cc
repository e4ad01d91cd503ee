#include "vmm/config/validate_workers_config.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/config/field_checks.h"

namespace annulus {

absl::Status CheckWorkers(absl::string_view at, uint32_t poll_microseconds,
                          const std::vector<uint32_t>& worker_cpus) {
  ANNULUS_RETURN_IF_ERROR(CheckRange(absl::StrCat(at, ".poll_microseconds"),
                                     poll_microseconds, 0,
                                     kMaxPollMicroseconds));
  if (worker_cpus.size() > kMaxWorkerCpus) {
    return WrongField(absl::StrCat(at, ".worker_cpus"),
                      absl::StrCat(worker_cpus.size(), " CPUs are more than ",
                                   kMaxWorkerCpus));
  }
  for (size_t i = 0; i < worker_cpus.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(
        CheckRange(absl::StrCat(at, ".worker_cpus[", i, "]"), worker_cpus[i], 0,
                   kMaxHostCpu));
  }
  return absl::OkStatus();
}

}  // namespace annulus
