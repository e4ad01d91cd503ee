#ifndef CLI_DEVICE_FLAGS_H_
#define CLI_DEVICE_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "cli/flag_set.h"
#include "cli/sandbox_flag.h"
#include "vmm/config/devices_config.h"

namespace annulus::cli {

// What the flags of `annulus device` say.
struct DeviceFlags {
  // Of `annulus device net`, `vsock` and `rng`.
  DeviceConfig device;
  bool has_backend = false;
  std::optional<uint32_t> queues;
  std::string descriptor_binary;  // Of --print-descriptor; empty: not given.

  // Of `annulus device --config`.
  std::optional<std::string> config_file;

  SandboxFlag sandbox;
  bool quiet = false;
  bool verbose = false;
};

// Makes the flags of a device known to `flags`; they write to `values`, which
// must outlive it. `kind` is "net", "vsock" or "rng"; empty: those of the
// command without a kind.
void AddDeviceFlags(absl::string_view kind, DeviceFlags& values,
                    FlagSet& flags);

// The configuration that the flags of a kind make up, which is validated.
// InvalidArgument in one line that names the flag.
absl::StatusOr<DevicesConfig> DeviceOfFlags(absl::string_view kind,
                                            const DeviceFlags& values);

// An error of the library about the one device that flags make up, with the
// flag in place of the field: "device[0].net.tap: ..." becomes
// "--backend: tap: ...".
std::string FieldToFlag(absl::string_view message);

// Which log lines are shown: warnings; errors with --quiet, all with -v.
LogSeverity LeastSeverity(const DeviceFlags& values);

}  // namespace annulus::cli

#endif  // CLI_DEVICE_FLAGS_H_
