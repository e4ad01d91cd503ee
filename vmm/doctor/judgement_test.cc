#include "vmm/doctor/judgement.h"

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "vmm/doctor/doctor.h"
#include "vmm/doctor/finding.h"
#include "vmm/doctor/host_facts.h"
#include "vmm/kvm/kvm_probe.h"

namespace annulus {
namespace {

// A host on which everything is there.
HostFacts GoodHost() {
  HostFacts facts;
  facts.kvm.api_version = facts.kvm.needed_version = 12;
  facts.kvm.max_vcpus = 255;
  facts.kvm.capabilities = {{"KVM_CAP_IRQFD", "interrupts", true, true},
                            {"KVM_CAP_SIGNAL_MSI", "MSI", false, true}};
  facts.hardware = HardwareVirtualization::kVmx;
  facts.memory_total = facts.memory_available = uint64_t{8} << 30;
  facts.hugepages_total = facts.hugepages_free = 256;
  facts.seccomp_filters = true;
  facts.landlock_version = 7;
  facts.memlock_limit = facts.file_limit = UINT64_MAX;
  return facts;
}

Finding About(const HostFacts& facts, absl::string_view subject) {
  for (Finding& finding : JudgeHost(facts)) {
    if (finding.subject == subject) return finding;
  }
  ADD_FAILURE() << "nothing about " << subject;
  return {};
}

TEST(JudgementTest, GoodHostIsOkThroughoutAndNeedsNoAdvice) {
  for (const Finding& finding : JudgeHost(GoodHost())) {
    EXPECT_EQ(finding.level, FindingLevel::kOk) << finding.subject;
    EXPECT_EQ(finding.advice, "") << finding.subject;
    EXPECT_NE(finding.text, "") << finding.subject;
  }
  EXPECT_TRUE(CanRunVm(JudgeHost(GoodHost())));
}

TEST(JudgementTest, EverythingElseComesWithAdvice) {
  HostFacts facts;  // Nothing is there.
  facts.kvm.open_errno = ENOENT;
  facts.tun_errno = facts.vhost_net_errno = facts.vhost_vsock_errno = ENOENT;
  for (const Finding& finding : JudgeHost(facts)) {
    if (finding.level == FindingLevel::kOk) continue;
    EXPECT_NE(finding.advice, "") << finding.subject;
  }
}

TEST(JudgementTest, MissingKvmMeansNoVmAndNamesTheModule) {
  HostFacts facts = GoodHost();
  facts.kvm.open_errno = ENOENT;
  EXPECT_EQ(About(facts, "/dev/kvm").level, FindingLevel::kMissing);
  EXPECT_TRUE(absl::StrContains(About(facts, "/dev/kvm").advice, "kvm_intel"));
  EXPECT_FALSE(CanRunVm(JudgeHost(facts)));
  facts.hardware = HardwareVirtualization::kSvm;
  EXPECT_TRUE(absl::StrContains(About(facts, "/dev/kvm").advice, "kvm_amd"));
}

TEST(JudgementTest, ForbiddenKvmMeansNoVmAndNamesTheGroup) {
  HostFacts facts = GoodHost();
  facts.kvm.open_errno = EACCES;
  EXPECT_TRUE(absl::StrContains(About(facts, "/dev/kvm").advice, "usermod"));
  EXPECT_FALSE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, AnotherApiVersionMeansNoVm) {
  HostFacts facts = GoodHost();
  facts.kvm.api_version = -1;
  EXPECT_FALSE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, KvmThatCreatesNoVmMeansNoVm) {
  HostFacts facts = GoodHost();
  facts.kvm.create_errno = EBUSY;
  EXPECT_FALSE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, MissingRequiredCapabilityMeansNoVm) {
  HostFacts facts = GoodHost();
  facts.kvm.capabilities[0].present = false;
  EXPECT_EQ(About(facts, "KVM_CAP_IRQFD").level, FindingLevel::kMissing);
  EXPECT_FALSE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, MissingOptionalCapabilityIsAWarning) {
  HostFacts facts = GoodHost();
  facts.kvm.capabilities[1].present = false;
  EXPECT_EQ(About(facts, "KVM_CAP_SIGNAL_MSI").level, FindingLevel::kWarning);
  EXPECT_TRUE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, SoftwareVirtualizationIsAWarning) {
  HostFacts facts = GoodHost();
  facts.hardware = HardwareVirtualization::kNone;
  EXPECT_EQ(About(facts, "virtualization").level, FindingLevel::kWarning);
  EXPECT_TRUE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, MissingTunStopsNoVm) {
  HostFacts facts = GoodHost();
  facts.tun_errno = ENOENT;
  EXPECT_EQ(About(facts, "/dev/net/tun").level, FindingLevel::kMissing);
  EXPECT_TRUE(CanRunVm(JudgeHost(facts)));
  facts.tun_errno = EACCES;
  EXPECT_EQ(About(facts, "/dev/net/tun").level, FindingLevel::kWarning);
}

TEST(JudgementTest, FewOfAnythingIsAWarning) {
  HostFacts facts = GoodHost();
  facts.memory_available = uint64_t{100} << 20;
  facts.hugepages_free = 0;
  facts.file_limit = 256;
  for (const char* subject : {"memory", "hugepages", "RLIMIT_NOFILE"}) {
    EXPECT_EQ(About(facts, subject).level, FindingLevel::kWarning) << subject;
  }
  EXPECT_TRUE(CanRunVm(JudgeHost(facts)));
}

TEST(JudgementTest, ASandboxNeedsFiltersAndIsBetterWithLandlock) {
  HostFacts facts = GoodHost();
  facts.landlock_version = 0;
  EXPECT_EQ(About(facts, "sandbox").level, FindingLevel::kWarning);
  facts.seccomp_filters = false;
  EXPECT_EQ(About(facts, "sandbox").level, FindingLevel::kMissing);
  // It can be switched off.
  EXPECT_TRUE(CanRunVm(JudgeHost(facts)));
}

}  // namespace
}  // namespace annulus
