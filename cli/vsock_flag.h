#ifndef CLI_VSOCK_FLAG_H_
#define CLI_VSOCK_FLAG_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What --vsock is followed by in help.
inline constexpr absl::string_view kVsockValueName = "cid=N,socket=PATH[,...]";

// Explains it, naming every option.
extern const absl::string_view kVsockHelp;

// The socket device from "cid=3,socket=/run/vm.vsock,buf_alloc=1M,packed=off":
// options in any order; of two that say the same the last counts, but each
// port-map adds one. What is out of range or missing is ValidateVmConfig()'s to
// say. Errors are a reason without the flag's name.
absl::StatusOr<VsockConfig> ParseVsock(absl::string_view text);

// The names of all options, for who suggests or documents them.
std::vector<absl::string_view> VsockOptionNames();

}  // namespace annulus::cli

#endif  // CLI_VSOCK_FLAG_H_
