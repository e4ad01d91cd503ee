#ifndef VMM_CONFIG_VALIDATE_CONFIG_H_
#define VMM_CONFIG_VALIDATE_CONFIG_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The bounds of a VmConfig that do not depend on the host.
inline constexpr size_t kMaxNameLength = 32;
inline constexpr uint32_t kMaxVcpus = 32;
inline constexpr uint64_t kMinMemoryBytes = uint64_t{16} << 20;
inline constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 40;
inline constexpr size_t kMaxCmdlineLength = 65535;
inline constexpr size_t kMaxRngPerTransport = 8;
inline constexpr size_t kMaxMmioDevices = 8;

// Checks every range and dependency among fields. InvalidArgument with one
// line, "FIELD: REASON", for the first field that is wrong, for instance
// "cpu.count: 1000 is not in 1..32". Opens no file; what only the host can
// refuse (free memory, CPUs that exist) is found by Vmm::Create().
//
// Trust: every string and number of `config` is untrusted.
absl::Status ValidateVmConfig(const VmConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_CONFIG_H_
