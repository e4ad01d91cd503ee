#include "cli/workers_flag.h"

#include "absl/strings/str_split.h"

namespace annulus::cli {

absl::StatusOr<PollKind> ParsePoll(absl::string_view text) {
  if (text == "adaptive") return PollKind::kAdaptive;
  if (text == "always") return PollKind::kAlways;
  if (text == "never") return PollKind::kNever;
  return NotA(text, "adaptive, always or never");
}

absl::StatusOr<std::vector<uint32_t>> ParseWorkerCpus(absl::string_view text) {
  constexpr size_t kMaxCpus = 1024;
  std::vector<uint32_t> cpus;
  for (const absl::string_view item : absl::StrSplit(text, ':')) {
    const absl::StatusOr<uint32_t> cpu = ParseCount(item);
    if (!cpu.ok() || cpus.size() == kMaxCpus) {
      return NotA(text, "a list of CPUs like 0:1");
    }
    cpus.push_back(*cpu);
  }
  return cpus;
}

}  // namespace annulus::cli
