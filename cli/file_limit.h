#ifndef CLI_FILE_LIMIT_H_
#define CLI_FILE_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// Lets this process have as many descriptors as the host allows: raises the
// soft limit RLIMIT_NOFILE, mostly 1024 for the sake of select(2), to the hard
// one. Returns what the limit is now. Errors: the host's.
absl::StatusOr<uint64_t> RaiseFileLimit();

// What is to be said where `limit` descriptors are too few for the connections
// that `config` allows.
std::optional<std::string> FileLimitWarning(const VmConfig& config,
                                            uint64_t limit);

}  // namespace annulus::cli

#endif  // CLI_FILE_LIMIT_H_
