#ifndef TESTS_GUEST_BOOT_INFO_H_
#define TESTS_GUEST_BOOT_INFO_H_

#include <cstdint>

// What the boot protocol told the guest.

namespace guest {

enum class BootProtocol : uint64_t { kPvh = 0, kLinux64 = 1 };

// Takes the command line over into memory of our own, and remembers it.
// `structure` is hvm_start_info or the zero page.
void ReadBootInfo(BootProtocol protocol, uint64_t structure);

const char* CommandLine();

// RAM as the boot protocol describes it. PVH only; empty otherwise.
struct RamRange {
  uint64_t start;
  uint64_t size;
};
inline constexpr uint64_t kMaxRamRanges = 16;
struct RamMap {
  uint64_t count;
  RamRange ranges[kMaxRamRanges];
};
const RamMap& Ram();

// The value of the option NAME=VALUE, up to the next space; "" if there is no
// such option. Valid until the next call but three.
const char* Option(const char* name);

// The value as a number, decimal or 0x...; `otherwise` if there is no option.
uint64_t NumberOption(const char* name, uint64_t otherwise);

bool Equal(const char* a, const char* b);

}  // namespace guest

#endif  // TESTS_GUEST_BOOT_INFO_H_
