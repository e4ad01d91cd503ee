#include "vmm/boot/pvh_start_info.h"

#include <array>
#include <vector>

#include "vmm/boot/layout.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

static_assert(kPvhStartInfo.value() + sizeof(HvmStartInfo) <=
              kPvhModuleList.value());
static_assert(kPvhModuleList.value() + sizeof(HvmModlistEntry) <=
              kPvhMemoryMap.value());
static_assert(kPvhMemoryMap.value() +
                  kMaxMemoryMapEntries * sizeof(HvmMemmapTableEntry) <=
              kPageTables.value());

std::vector<uint8_t> MemoryMapBytes(const BootEnvironment& environment) {
  std::vector<uint8_t> bytes;
  for (const MemoryMapEntry& entry : environment.memory_map) {
    const auto wire =
        ToBytes(HvmMemmapTableEntry{.addr = entry.range.start.value(),
                                    .size = entry.range.size,
                                    .type = static_cast<uint32_t>(entry.type),
                                    .reserved = 0});
    bytes.insert(bytes.end(), wire.begin(), wire.end());
  }
  return bytes;
}

}  // namespace

absl::Status WritePvhStartInfo(const BootEnvironment& environment,
                               const memory::GuestMemory& memory) {
  HvmStartInfo info = {};
  info.magic = kHvmStartMagicValue;
  info.version = 1;
  info.cmdline_paddr = kCommandLine.value();
  info.rsdp_paddr = environment.rsdp.value();
  info.memmap_paddr = kPvhMemoryMap.value();
  info.memmap_entries = static_cast<uint32_t>(environment.memory_map.size());
  bool written = memory.Write(kPvhMemoryMap, MemoryMapBytes(environment));
  if (environment.initrd.has_value()) {
    info.nr_modules = 1;
    info.modlist_paddr = kPvhModuleList.value();
    written &= memory.Write(
        kPvhModuleList,
        ToBytes(HvmModlistEntry{.paddr = environment.initrd->start.value(),
                                .size = environment.initrd->size,
                                .cmdline_paddr = 0,
                                .reserved = 0}));
  }
  written &= memory.Write(kPvhStartInfo, ToBytes(info));
  if (!written) {
    return absl::ResourceExhaustedError(
        "kernel: guest RAM below 1 MiB is missing");
  }
  return absl::OkStatus();
}

}  // namespace annulus::boot
