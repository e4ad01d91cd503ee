#include "vmm/kvm/kvm_probe.h"

#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"

namespace annulus::kvm {
namespace {

TEST(KvmProbeTest, MissingDeviceGivesItsErrno) {
  const KvmFacts facts = ProbeKvm("/nonexistent/kvm");
  EXPECT_EQ(facts.open_errno, ENOENT);
  EXPECT_TRUE(facts.capabilities.empty());
}

TEST(KvmProbeTest, FileThatIsNoKvmHasNoApiVersion) {
  const KvmFacts facts = ProbeKvm("/dev/null");
  EXPECT_EQ(facts.open_errno, 0);
  EXPECT_NE(facts.api_version, facts.needed_version);
  EXPECT_TRUE(facts.capabilities.empty());
}

TEST(KvmProbeTest, KvmOfThisHostAnswersEveryQuestion) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "no usable /dev/kvm on this host";
  }
  const KvmFacts facts = ProbeKvm("/dev/kvm");
  EXPECT_EQ(facts.open_errno, 0);
  EXPECT_EQ(facts.api_version, 12);
  EXPECT_EQ(facts.create_errno, 0);
  EXPECT_GE(facts.max_vcpus, 1u);
  ASSERT_FALSE(facts.capabilities.empty());
  // Every KVM since Linux 2.6.22 has this one.
  EXPECT_STREQ(facts.capabilities[0].name, "KVM_CAP_USER_MEMORY");
  EXPECT_TRUE(facts.capabilities[0].present);
}

}  // namespace
}  // namespace annulus::kvm
