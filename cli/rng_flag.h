#ifndef CLI_RNG_FLAG_H_
#define CLI_RNG_FLAG_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What --rng is followed by in help.
inline constexpr absl::string_view kRngValueName = "OPTION[,...]";

// Explains it, naming every option.
extern const absl::string_view kRngHelp;

// An entropy device from "pci,packed=off,poll=always,cpus=0:1": options in any
// order; of two that say the same the last counts. What is out of range is
// ValidateVmConfig()'s to say. Errors are a reason without the flag's name.
absl::StatusOr<RngConfig> ParseRng(absl::string_view text);

}  // namespace annulus::cli

#endif  // CLI_RNG_FLAG_H_
