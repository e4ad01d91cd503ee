#ifndef CLI_RUN_ERROR_H_
#define CLI_RUN_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "cli/exit_codes.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What `annulus run` says about a status of the library, and returns.
struct RunError {
  std::string line;
  ExitCode code = ExitCode::kHostError;
};

// The library knows what it was given: descriptors, whose errors begin with
// "kernel: ", "initrd: " or "command line: ". A user knows fields and files, so
// those are put in, and what is wrong with them is told from what is wrong with
// the host.
RunError ExplainRunError(const absl::Status& status, const VmConfig& config);

}  // namespace annulus::cli

#endif  // CLI_RUN_ERROR_H_
