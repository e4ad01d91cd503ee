#ifndef CLI_NET_FLAG_H_
#define CLI_NET_FLAG_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What --net is followed by in help.
inline constexpr absl::string_view kNetValueName = "BACKEND[,...]";

// Explains it, naming every option.
extern const absl::string_view kNetHelp;

// A network card from "tap=tap0,mac=52:54:00:12:34:56,queues=4,csum=off": a
// backend (tap=NAME, fd=N[:N...], passt=PATH, switch=NAME,
// vhost-user=PATH, loopback, null), pci
// or mmio, and options, in any order; of two that say the same the last counts.
// What is out of range is ValidateVmConfig()'s to say. Errors are a reason
// without the flag's name.
absl::StatusOr<NetConfig> ParseNet(absl::string_view text);

}  // namespace annulus::cli

#endif  // CLI_NET_FLAG_H_
