#include "vmm/cpu/vcpu_gate.h"

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

constexpr uint32_t kVcpus = 4;

// Plays a VM's vCPU threads: between two passes each one "runs the guest"
// until it is interrupted.
class FakeVcpus {
 public:
  FakeVcpus() : interrupted_(kVcpus), laps_(kVcpus) {
    for (uint32_t i = 0; i < kVcpus; ++i) {
      threads_.push_back(Thread::Start("vcpu", [this, i] { Run(i); }).value());
    }
  }
  ~FakeVcpus() {
    gate.End([this] { Interrupt(); });
  }

  void Interrupt() {
    for (std::atomic<bool>& flag : interrupted_) flag.store(true);
  }
  uint64_t laps(uint32_t i) const { return laps_[i].load(); }
  uint32_t inside() const { return inside_.load(); }

  VcpuGate gate{kVcpus};

 private:
  void Run(uint32_t i) {
    while (gate.Pass([this, i] { interrupted_[i].store(false); })) {
      ++inside_;
      while (!interrupted_[i].load()) ++laps_[i];
      --inside_;
    }
    gate.Leave();
  }

  std::vector<std::atomic<bool>> interrupted_;
  std::vector<std::atomic<uint64_t>> laps_;
  std::atomic<uint32_t> inside_{0};
  std::vector<Thread> threads_;  // Last: joined first.
};

TEST(VcpuGateTest, NobodyEntersTheGuestBeforeItOpens) {
  FakeVcpus vcpus;
  vcpus.gate.Close([&] { vcpus.Interrupt(); });  // All are parked now.
  EXPECT_EQ(vcpus.inside(), 0u);
  for (uint32_t i = 0; i < kVcpus; ++i) EXPECT_EQ(vcpus.laps(i), 0u);
}

TEST(VcpuGateTest, CloseReturnsWithEveryVcpuOutsideAndOpenLetsAllIn) {
  FakeVcpus vcpus;
  for (int round = 0; round < 100; ++round) {
    std::vector<uint64_t> before;
    for (uint32_t i = 0; i < kVcpus; ++i) before.push_back(vcpus.laps(i));
    vcpus.gate.Open();
    for (uint32_t i = 0; i < kVcpus; ++i) {
      while (vcpus.laps(i) == before[i]) {
      }
    }
    vcpus.gate.Close([&] { vcpus.Interrupt(); });
    ASSERT_EQ(vcpus.inside(), 0u);
  }
}

TEST(VcpuGateTest, EndedGateStaysEnded) {
  FakeVcpus vcpus;
  vcpus.gate.Open();
  vcpus.gate.End([&] { vcpus.Interrupt(); });
  vcpus.gate.Open();
  EXPECT_TRUE(vcpus.gate.ended());
  vcpus.gate.Close([] {});  // Does not wait for those that left.
}

TEST(VcpuGateTest, CloseDoesNotWaitForAVcpuThatLeft) {
  VcpuGate gate(1);
  Thread thread = Thread::Start("vcpu", [&] {
                    EXPECT_TRUE(gate.Pass([] {}));
                    gate.Leave();
                  }).value();
  gate.Open();
  thread.Join();
  gate.Close([] {});
}

}  // namespace
}  // namespace annulus
