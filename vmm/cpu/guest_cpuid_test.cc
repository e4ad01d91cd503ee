#include "vmm/cpu/guest_cpuid.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "vmm/kvm/cpuid_entry.h"

namespace annulus {
namespace {

using kvm::CpuidEntry;

std::optional<CpuidEntry> Find(const std::vector<CpuidEntry>& entries,
                               uint32_t function, uint32_t index = 0) {
  for (const CpuidEntry& entry : entries) {
    if (entry.function == function && entry.index == index) return entry;
  }
  return std::nullopt;
}

TEST(GuestCpuidTest, EachVcpuHasItsOwnApicId) {
  const std::vector<CpuidEntry> host = {
      {.function = 1, .ebx = 0x07100800},
      {.function = 0xb, .index = 0, .index_significant = true, .edx = 7},
      {.function = 0x8000001e, .eax = 7, .ebx = 0x103, .ecx = 0x1}};
  const auto guest = GuestCpuid(host, {.vcpu_id = 2, .vcpu_count = 4});
  EXPECT_EQ(Find(guest, 1)->ebx, 0x02040800u);
  EXPECT_EQ(Find(guest, 0xb, 0)->edx, 2u);
  EXPECT_EQ(Find(guest, 0xb, 1)->edx, 2u);
  EXPECT_EQ(Find(guest, 0x8000001e)->eax, 2u);
  EXPECT_EQ(Find(guest, 0x8000001e)->ebx, 2u);
  EXPECT_EQ(Find(guest, 0x8000001e)->ecx, 0u);
}

TEST(GuestCpuidTest, HostTopologyIsReplacedByOnePackageOfCores) {
  const std::vector<CpuidEntry> host = {
      {.function = 0xb, .index = 0, .index_significant = true, .ebx = 2},
      {.function = 0xb, .index = 1, .index_significant = true, .ebx = 96},
      {.function = 0x1f, .index = 0, .index_significant = true, .ebx = 96}};
  const auto guest = GuestCpuid(host, {.vcpu_id = 0, .vcpu_count = 5});
  EXPECT_EQ(guest.size(), 3u);
  EXPECT_EQ(Find(guest, 0xb, 0)->ebx, 1u);
  EXPECT_EQ(Find(guest, 0xb, 1)->ebx, 5u);
  EXPECT_EQ(Find(guest, 0xb, 1)->eax, 3u);  // 5 CPUs need 3 bits.
  EXPECT_EQ(Find(guest, 0xb, 2)->ecx >> 8, 0u);
  EXPECT_FALSE(Find(guest, 0x1f).has_value());
}

TEST(GuestCpuidTest, AmdCoreCountIsTheGuests) {
  const std::vector<CpuidEntry> host = {
      {.function = 0x80000008, .eax = 0x3030, .ecx = 0x7f}};
  const auto guest = GuestCpuid(host, {.vcpu_id = 0, .vcpu_count = 4});
  EXPECT_EQ(Find(guest, 0x80000008)->ecx, 0x2003u);
  EXPECT_EQ(Find(guest, 0x80000008)->eax, 0x3030u);
}

TEST(GuestCpuidTest, OnlyTheLastLevelCacheIsShared) {
  const uint32_t l1 = 1u << 5 | 1 | 7u << 14;
  const uint32_t l3 = 3u << 5 | 3 | 31u << 14;
  const std::vector<CpuidEntry> host = {
      {.function = 4, .index = 0, .index_significant = true, .eax = l1},
      {.function = 4, .index = 3, .index_significant = true, .eax = l3}};
  const auto guest = GuestCpuid(host, {.vcpu_id = 0, .vcpu_count = 4});
  EXPECT_EQ(Find(guest, 4, 0)->eax, 3u << 26 | 1u << 5 | 1);
  EXPECT_EQ(Find(guest, 4, 3)->eax, 3u << 26 | 3u << 14 | 3u << 5 | 3);
}

TEST(GuestCpuidTest, GuestSeesAHypervisorAndTheDeadlineTimerIfThereIsOne) {
  const std::vector<CpuidEntry> host = {{.function = 1}};
  EXPECT_EQ(Find(GuestCpuid(host, {}), 1)->ecx, 1u << 31);
  EXPECT_EQ(Find(GuestCpuid(host, {.tsc_deadline_timer = true}), 1)->ecx,
            1u << 31 | 1u << 24);
}

}  // namespace
}  // namespace annulus
