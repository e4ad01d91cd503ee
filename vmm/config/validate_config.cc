#include "vmm/config/validate_config.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

constexpr uint64_t kPageBytes = uint64_t{4} << 10;
constexpr uint64_t kHugepageBytes = uint64_t{2} << 20;

absl::Status Wrong(absl::string_view field, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", reason));
}

absl::Status NotInRange(absl::string_view field, uint64_t value, uint64_t low,
                        uint64_t high) {
  return Wrong(field, absl::StrCat(value, " is not in ", low, "..", high));
}

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
         c == '_' || c == '.';
}

absl::Status ValidateName(absl::string_view name) {
  if (name.empty()) return Wrong("name", "is empty");
  if (name.size() > kMaxNameLength) {
    return Wrong("name", absl::StrCat(name.size(), " characters are more than ",
                                      kMaxNameLength));
  }
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return Wrong("name", "may only contain A-Z, a-z, 0-9, '-', '_' and '.'");
  }
  return absl::OkStatus();
}

absl::Status ValidateCpu(const CpuConfig& cpu) {
  if (cpu.count < 1 || cpu.count > kMaxVcpus) {
    return NotInRange("cpu.count", cpu.count, 1, kMaxVcpus);
  }
  if (cpu.pinning.empty()) return absl::OkStatus();
  if (cpu.pinning.size() != cpu.count) {
    return Wrong("cpu.pinning",
                 absl::StrCat("has ", cpu.pinning.size(), " entries for ",
                              cpu.count, " vCPUs; give one each, or none"));
  }
  for (size_t i = 0; i < cpu.pinning.size(); ++i) {
    if (cpu.pinning[i] > kMaxHostCpu) {
      return NotInRange(absl::StrCat("cpu.pinning[", i, "]"), cpu.pinning[i], 0,
                        kMaxHostCpu);
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateMemory(const MemoryConfig& memory) {
  if (memory.size_bytes < kMinMemoryBytes ||
      memory.size_bytes > kMaxMemoryBytes) {
    return Wrong("memory.size_bytes",
                 absl::StrCat(memory.size_bytes, " is not in ", kMinMemoryBytes,
                              "..", kMaxMemoryBytes, " (16 MiB to 1 TiB)"));
  }
  if (memory.size_bytes % kPageBytes != 0) {
    return Wrong("memory.size_bytes",
                 absl::StrCat(memory.size_bytes, " is not a multiple of 4096"));
  }
  if (memory.hugepages && memory.size_bytes % kHugepageBytes != 0) {
    return Wrong("memory.size_bytes",
                 absl::StrCat(memory.size_bytes,
                              " is not a multiple of 2 MiB, which "
                              "memory.hugepages needs"));
  }
  return absl::OkStatus();
}

// `path` may be empty. A NUL would silently cut it short in open(2).
absl::Status ValidatePath(absl::string_view field, absl::string_view path) {
  if (path.size() > kMaxPathLength) {
    return Wrong(field, absl::StrCat(path.size(), " bytes are more than ",
                                     kMaxPathLength));
  }
  if (path.find('\0') != absl::string_view::npos) {
    return Wrong(field, "contains a NUL byte");
  }
  return absl::OkStatus();
}

absl::Status ValidateBoot(const BootConfig& boot) {
  if (boot.kernel.empty()) return Wrong("boot.kernel", "is not given");
  ANNULUS_RETURN_IF_ERROR(ValidatePath("boot.kernel", boot.kernel));
  ANNULUS_RETURN_IF_ERROR(ValidatePath("boot.initrd", boot.initrd));
  const absl::string_view cmdline = boot.cmdline;
  if (cmdline.size() > kMaxCmdlineLength) {
    return Wrong("boot.cmdline",
                 absl::StrCat(cmdline.size(), " bytes are more than ",
                              kMaxCmdlineLength));
  }
  for (const char c : cmdline) {
    if (c == '\0') return Wrong("boot.cmdline", "contains a NUL byte");
    if (c == '\n' || c == '\r') {
      return Wrong("boot.cmdline", "contains a line break");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateConsole(const ConsoleConfig& console) {
  if (console.kind == ConsoleConfig::Kind::kFile) {
    if (console.path.empty()) {
      return Wrong("console.path", "is not given, but console.kind is FILE");
    }
    return ValidatePath("console.path", console.path);
  }
  if (!console.path.empty()) {
    return Wrong("console.path", "is given, but console.kind is not FILE");
  }
  return absl::OkStatus();
}

absl::Status ValidateRng(const std::vector<RngConfig>& rng) {
  size_t pci = 0;
  size_t mmio = 0;
  for (const RngConfig& device : rng) {
    size_t& count = device.virtio.transport == TransportKind::kPci ? pci : mmio;
    ++count;
  }
  if (std::max(pci, mmio) > kMaxRngPerTransport) {
    return Wrong("rng", absl::StrCat(std::max(pci, mmio), " devices on ",
                                     pci > mmio ? "PCI" : "MMIO",
                                     " are more than ", kMaxRngPerTransport));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateVmConfig(const VmConfig& config) {
  ANNULUS_RETURN_IF_ERROR(ValidateName(config.name));
  ANNULUS_RETURN_IF_ERROR(ValidateCpu(config.cpu));
  ANNULUS_RETURN_IF_ERROR(ValidateMemory(config.memory));
  ANNULUS_RETURN_IF_ERROR(ValidateBoot(config.boot));
  ANNULUS_RETURN_IF_ERROR(ValidateConsole(config.console));
  return ValidateRng(config.rng);
}

}  // namespace annulus
