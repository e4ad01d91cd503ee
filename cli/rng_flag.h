#ifndef CLI_RNG_FLAG_H_
#define CLI_RNG_FLAG_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// For help: what --rng takes.
extern const absl::string_view kRngHelp;

// The value of --rng: as ParseVirtio(), and any of ",poll=always",
// ",poll_us=5",
// ",cpus=0:1". Errors: a reason without the flag's name.
absl::StatusOr<RngConfig> ParseRng(absl::string_view text);

}  // namespace annulus::cli

#endif  // CLI_RNG_FLAG_H_
