#include "vmm/config/validate_config.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "vmm/config/field_checks.h"
#include "vmm/config/validate_control_config.h"
#include "vmm/config/validate_net_config.h"
#include "vmm/config/validate_vhost_user_config.h"
#include "vmm/config/validate_vsock_config.h"
#include "vmm/config/validate_workers_config.h"

namespace annulus {
namespace {

constexpr uint64_t kPageBytes = uint64_t{4} << 10;
constexpr uint64_t kHugepageBytes = uint64_t{2} << 20;

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
         c == '_' || c == '.';
}

absl::Status ValidateName(absl::string_view name) {
  if (name.empty()) return WrongField("name", "is empty");
  if (name.size() > kMaxNameLength) {
    return WrongField("name",
                      absl::StrCat(name.size(), " characters are more than ",
                                   kMaxNameLength));
  }
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return WrongField("name",
                      "may only contain A-Z, a-z, 0-9, '-', '_' and '.'");
  }
  return absl::OkStatus();
}

absl::Status ValidateCpu(const CpuConfig& cpu) {
  ANNULUS_RETURN_IF_ERROR(CheckRange("cpu.count", cpu.count, 1, kMaxVcpus));
  if (cpu.pinning.empty()) return absl::OkStatus();
  if (cpu.pinning.size() != cpu.count) {
    return WrongField(
        "cpu.pinning",
        absl::StrCat("has ", cpu.pinning.size(), " entries for ", cpu.count,
                     " vCPUs; give one each, or none"));
  }
  for (size_t i = 0; i < cpu.pinning.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(CheckRange(absl::StrCat("cpu.pinning[", i, "]"),
                                       cpu.pinning[i], 0, kMaxHostCpu));
  }
  return absl::OkStatus();
}

absl::Status ValidateMemory(const MemoryConfig& memory) {
  if (memory.size_bytes < kMinMemoryBytes ||
      memory.size_bytes > kMaxMemoryBytes) {
    return WrongField(
        "memory.size_bytes",
        absl::StrCat(memory.size_bytes, " is not in ", kMinMemoryBytes, "..",
                     kMaxMemoryBytes, " (16 MiB to 1 TiB)"));
  }
  if (memory.size_bytes % kPageBytes != 0) {
    return WrongField(
        "memory.size_bytes",
        absl::StrCat(memory.size_bytes, " is not a multiple of 4096"));
  }
  if (memory.hugepages && memory.size_bytes % kHugepageBytes != 0) {
    return WrongField("memory.size_bytes",
                      absl::StrCat(memory.size_bytes,
                                   " is not a multiple of 2 MiB, which "
                                   "memory.hugepages needs"));
  }
  return absl::OkStatus();
}

absl::Status ValidateBoot(const BootConfig& boot) {
  if (boot.kernel.empty()) return WrongField("boot.kernel", "is not given");
  ANNULUS_RETURN_IF_ERROR(CheckPath("boot.kernel", boot.kernel));
  ANNULUS_RETURN_IF_ERROR(CheckPath("boot.initrd", boot.initrd));
  const absl::string_view cmdline = boot.cmdline;
  if (cmdline.size() > kMaxCmdlineLength) {
    return WrongField("boot.cmdline",
                      absl::StrCat(cmdline.size(), " bytes are more than ",
                                   kMaxCmdlineLength));
  }
  for (const char c : cmdline) {
    if (c == '\0') return WrongField("boot.cmdline", "contains a NUL byte");
    if (c == '\n' || c == '\r') {
      return WrongField("boot.cmdline", "contains a line break");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateConsole(const ConsoleConfig& console) {
  if (console.kind == ConsoleConfig::Kind::kFile) {
    if (console.path.empty()) {
      return WrongField("console.path",
                        "is not given, but console.kind is FILE");
    }
    return CheckPath("console.path", console.path);
  }
  if (!console.path.empty()) {
    return WrongField("console.path", "is given, but console.kind is not FILE");
  }
  return absl::OkStatus();
}

size_t CountOf(const std::vector<RngConfig>& rng, TransportKind transport) {
  return static_cast<size_t>(
      std::count_if(rng.begin(), rng.end(), [&](const RngConfig& device) {
        return device.virtio.transport == transport;
      }));
}

absl::Status ValidateRng(const std::vector<RngConfig>& rng) {
  const size_t pci = CountOf(rng, TransportKind::kPci);
  const size_t mmio = CountOf(rng, TransportKind::kMmio);
  if (std::max(pci, mmio) > kMaxRngPerTransport) {
    return WrongField(
        "rng", absl::StrCat(std::max(pci, mmio), " devices on ",
                            pci > mmio ? "PCI" : "MMIO", " are more than ",
                            kMaxRngPerTransport));
  }
  for (size_t i = 0; i < rng.size(); ++i) {
    const std::string at = absl::StrCat("rng[", i, "]");
    ANNULUS_RETURN_IF_ERROR(ValidateWorkers(at, rng[i]));
    ANNULUS_RETURN_IF_ERROR(ValidateVhostUserRng(at, rng[i]));
  }
  return absl::OkStatus();
}

// Windows of virtio-mmio are for devices of all kinds.
absl::Status ValidateMmio(const VmConfig& config) {
  size_t mmio = CountOf(config.rng, TransportKind::kMmio);
  for (const NetConfig& net : config.net) {
    if (net.virtio.transport == TransportKind::kMmio) ++mmio;
  }
  const bool vsock = config.vsock.has_value() &&
                     config.vsock->virtio.transport == TransportKind::kMmio;
  if (vsock) ++mmio;
  if (mmio <= kMaxMmioDevices) return absl::OkStatus();
  return WrongField(
      vsock ? "vsock" : "net",
      absl::StrCat("with those of rng", vsock ? " and net, " : ", ", mmio,
                   " devices on MMIO are more than ", kMaxMmioDevices));
}

}  // namespace

absl::Status ValidateVmConfig(const VmConfig& config) {
  ANNULUS_RETURN_IF_ERROR(ValidateName(config.name));
  ANNULUS_RETURN_IF_ERROR(ValidateCpu(config.cpu));
  ANNULUS_RETURN_IF_ERROR(ValidateMemory(config.memory));
  ANNULUS_RETURN_IF_ERROR(ValidateBoot(config.boot));
  ANNULUS_RETURN_IF_ERROR(ValidateConsole(config.console));
  ANNULUS_RETURN_IF_ERROR(ValidateRng(config.rng));
  // First: it bounds how many cards there are to look at.
  ANNULUS_RETURN_IF_ERROR(ValidateMmio(config));
  ANNULUS_RETURN_IF_ERROR(ValidateNetConfigs(config.net));
  if (config.vsock.has_value()) {
    ANNULUS_RETURN_IF_ERROR(ValidateVsockConfig(*config.vsock));
  }
  ANNULUS_RETURN_IF_ERROR(ValidateControlConfig(config.control));
  return ValidateUniqueVhostUser(config);
}

}  // namespace annulus
