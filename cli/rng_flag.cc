#include "cli/rng_flag.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "cli/workers_flag.h"

namespace annulus::cli {

const absl::string_view kRngHelp =
    "An entropy device on that transport; may be repeated, and replaces\n"
    "those of the configuration. What it offers: packed=off,\n"
    "event_idx=off, indirect_desc=off, in_order=off, ring_reset=off,\n"
    "notification_data=off. Its thread: poll=adaptive|always|never,\n"
    "poll_us=N, cpus=N. Default: no device.";

namespace {

struct Option {
  absl::string_view name;
  absl::Status (*set)(absl::string_view value, RngConfig& rng);
};

constexpr Option kOptions[] = {
    {"poll", &SetPoll<RngConfig>},
    {"poll_us", &SetPollMicroseconds<RngConfig>},
    {"cpus", &SetWorkerCpus<RngConfig>},
};

const Option* FindOption(absl::string_view name) {
  for (const Option& option : kOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<RngConfig> ParseRng(absl::string_view text) {
  RngConfig rng;
  std::vector<absl::string_view> others;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> option =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const Option* const known = FindOption(option.first);
    if (known == nullptr) {
      others.push_back(part);
      continue;
    }
    const absl::Status status = known->set(option.second, rng);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(option.first, ": ", status.message()));
    }
  }
  ANNULUS_ASSIGN_OR_RETURN(rng.virtio, ParseVirtio(absl::StrJoin(others, ",")));
  return rng;
}

}  // namespace annulus::cli
