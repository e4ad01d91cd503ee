#ifndef CLI_WORKERS_FLAG_H_
#define CLI_WORKERS_FLAG_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "vmm/config/vm_config.h"

// The options poll=, poll_us= and cpus= of devices of all kinds.

namespace annulus::cli {

// "adaptive", "always" or "never".
absl::StatusOr<PollKind> ParsePoll(absl::string_view text);

// "1:2".
absl::StatusOr<std::vector<uint32_t>> ParseWorkerCpus(absl::string_view text);

template <typename Config>
absl::Status SetPoll(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.poll, ParsePoll(value));
  return absl::OkStatus();
}

template <typename Config>
absl::Status SetPollMicroseconds(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.poll_microseconds, ParseCount(value));
  return absl::OkStatus();
}

template <typename Config>
absl::Status SetWorkerCpus(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.worker_cpus, ParseWorkerCpus(value));
  return absl::OkStatus();
}

}  // namespace annulus::cli

#endif  // CLI_WORKERS_FLAG_H_
