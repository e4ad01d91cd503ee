#include "vmm/doctor/host_facts.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(HostFactsTest, MeminfoValueTakesTheWholeNameAndItsUnit) {
  constexpr char kText[] =
      "MemTotal:       16384 kB\n"
      "MemTotalOther:  1 kB\n"
      "HugePages_Total:    7\n"
      "Broken:    x kB\n";
  EXPECT_EQ(MeminfoValue(kText, "MemTotal"), 16384u * 1024);
  EXPECT_EQ(MeminfoValue(kText, "HugePages_Total"), 7u);
  EXPECT_EQ(MeminfoValue(kText, "Broken"), 0u);
  EXPECT_EQ(MeminfoValue(kText, "Absent"), 0u);
  EXPECT_EQ(MeminfoValue("", "MemTotal"), 0u);
}

TEST(HostFactsTest, HardwareIsReadFromTheFlagsAlone) {
  EXPECT_EQ(HardwareFromCpuinfo("flags\t\t: fpu vmx sse\n"),
            HardwareVirtualization::kVmx);
  EXPECT_EQ(HardwareFromCpuinfo("model name: x\nflags\t\t: fpu svm\n"),
            HardwareVirtualization::kSvm);
  EXPECT_EQ(HardwareFromCpuinfo("flags\t\t: fpu svm_lock vmxx\n"),
            HardwareVirtualization::kNone);
  EXPECT_EQ(HardwareFromCpuinfo("model name: vmx svm\nvmx flags: vmx\n"),
            HardwareVirtualization::kNone);
  EXPECT_EQ(HardwareFromCpuinfo(""), HardwareVirtualization::kNone);
}

TEST(HostFactsTest, ThisHostHasMemoryAndFiles) {
  const HostFacts facts = GatherHostFacts();
  EXPECT_GT(facts.memory_total, uint64_t{1} << 20);
  EXPECT_LE(facts.memory_available, facts.memory_total);
  EXPECT_LE(facts.hugepages_free, facts.hugepages_total);
  EXPECT_GT(facts.file_limit, 0u);
}

}  // namespace
}  // namespace annulus
