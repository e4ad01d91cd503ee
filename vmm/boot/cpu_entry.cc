#include "vmm/boot/cpu_entry.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/little_endian.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

// boot.rst "64-bit Boot Protocol": __BOOT_CS is 0x10 and __BOOT_DS is 0x18.
constexpr uint16_t kBootCs = 0x10;
constexpr uint16_t kBootDs = 0x18;
constexpr uint16_t kBootTr = 0x20;  // 16 bytes in long mode.
constexpr size_t kGdtEntries = 6;

// Segment types, Intel SDM volume 3 §3.4.5.1 and §3.5.
constexpr uint8_t kExecuteReadAccessed = 0xb;
constexpr uint8_t kReadWriteAccessed = 0x3;
constexpr uint8_t kBusyTss = 0xb;  // 64-bit in long mode, else 32-bit.
constexpr uint32_t kTssLimit = 0x67;

// Control register bits, Intel SDM volume 3 §2.5 and §2.2.1.
constexpr uint64_t kCr0Pe = 1 << 0;
constexpr uint64_t kCr0Et = 1 << 4;  // Hard-wired to 1.
constexpr uint64_t kCr0Pg = uint64_t{1} << 31;
constexpr uint64_t kCr4Pae = 1 << 5;
constexpr uint64_t kEferLme = 1 << 8;
constexpr uint64_t kEferLma = 1 << 10;

BootState FlatSegments(memory::GuestAddress entry, bool long_mode) {
  BootState state;
  state.rip = entry.value();
  state.cs = {.selector = kBootCs,
              .limit = UINT32_MAX,
              .type = kExecuteReadAccessed,
              .long_mode = long_mode,
              .default_size = !long_mode,
              .granularity = true};
  state.data = {.selector = kBootDs,
                .limit = UINT32_MAX,
                .type = kReadWriteAccessed,
                .default_size = true,
                .granularity = true};
  state.tr = {.selector = kBootTr,
              .limit = kTssLimit,
              .type = kBusyTss,
              .code_or_data = false};
  state.gdt = {.base = kGdt.value(),
               .limit = kGdtEntries * sizeof(uint64_t) - 1};
  return state;
}

// A segment as its descriptor, Intel SDM volume 3 figure 3-8. The upper half
// of a 64-bit TSS descriptor is 0, as bases here are.
uint64_t Descriptor(const SegmentState& segment) {
  const uint64_t limit =
      segment.granularity ? segment.limit >> 12 : segment.limit;
  return (limit & 0xffff) | (segment.base & 0xffffff) << 16 |
         uint64_t{segment.type} << 40 | uint64_t{segment.code_or_data} << 44 |
         uint64_t{segment.present} << 47 | (limit >> 16 & 0xf) << 48 |
         uint64_t{segment.long_mode} << 53 |
         uint64_t{segment.default_size} << 54 |
         uint64_t{segment.granularity} << 55 |
         (segment.base >> 24 & 0xff) << 56;
}

}  // namespace

BootState Linux64Entry(memory::GuestAddress entry) {
  BootState state = FlatSegments(entry, /*long_mode=*/true);
  state.protocol = BootProtocol::kLinux64;
  state.rsp = kBootStackTop.value();
  state.rsi = kLinuxZeroPage.value();
  state.cr0 = kCr0Pe | kCr0Et | kCr0Pg;
  state.cr3 = kPageTables.value();
  state.cr4 = kCr4Pae;
  state.efer = kEferLme | kEferLma;
  return state;
}

BootState Pvh32Entry(memory::GuestAddress entry) {
  BootState state = FlatSegments(entry, /*long_mode=*/false);
  state.protocol = BootProtocol::kPvh32;
  state.rbx = kPvhStartInfo.value();
  state.cr0 = kCr0Pe | kCr0Et;
  return state;
}

absl::Status WriteGdt(const BootState& state,
                      const memory::GuestMemory& memory) {
  std::array<memory::Le64, kGdtEntries> gdt = {};
  gdt[kBootCs / sizeof(uint64_t)] = Descriptor(state.cs);
  gdt[kBootDs / sizeof(uint64_t)] = Descriptor(state.data);
  gdt[kBootTr / sizeof(uint64_t)] = Descriptor(state.tr);
  if (!memory.Write(kGdt, ToBytes(gdt))) {
    return absl::ResourceExhaustedError(
        "kernel: guest RAM below 1 MiB is missing");
  }
  return absl::OkStatus();
}

}  // namespace annulus::boot
