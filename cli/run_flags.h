#ifndef CLI_RUN_FLAGS_H_
#define CLI_RUN_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/log_sink.h"
#include "cli/flag_set.h"
#include "cli/sandbox_flag.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What the guest's kernel is told where nobody says anything: talk on the first
// serial port; after a panic reset at once, by the keyboard controller, so that
// it is told from a triple fault; leave out the slow parts of the keyboard
// controller's probing.
inline constexpr char kDefaultCmdline[] =
    "console=ttyS0 reboot=k panic=-1 i8042.noaux i8042.nomux i8042.dumbkbd";

// What the flags of `annulus run` say. A field without a value leaves the
// configuration as it is.
struct RunFlags {
  std::optional<std::string> config_file;

  std::optional<std::string> name;
  std::optional<std::string> kernel;
  std::optional<std::string> initrd;
  std::optional<std::string> cmdline;
  std::optional<uint32_t> cpus;
  std::optional<std::vector<uint32_t>> pinning;
  std::optional<uint64_t> memory_bytes;
  std::optional<bool> hugepages;
  std::optional<bool> prefault;
  std::optional<bool> shared_memory;
  std::optional<ConsoleConfig> console;
  std::vector<RngConfig> rng;  // Empty: as configured.
  std::vector<NetConfig> net;  // Likewise.
  std::optional<VsockConfig> vsock;
  std::optional<std::string> control;  // Path of the control socket.
  std::optional<bool> debug_exit;

  SandboxFlag sandbox;
  bool timings = false;
  bool quiet = false;
  bool verbose = false;
};

// Makes the flags known to `flags`; they write to `values`, which must outlive
// it.
void AddRunFlags(RunFlags& values, FlagSet& flags);

// Overrides `config`, also the command line where it is empty and no flag says
// that it shall be.
void ApplyRunFlags(const RunFlags& values, VmConfig& config);

// Which log lines are shown: warnings; errors with --quiet, all with -v.
LogSeverity LeastSeverity(const RunFlags& values);

}  // namespace annulus::cli

#endif  // CLI_RUN_FLAGS_H_
