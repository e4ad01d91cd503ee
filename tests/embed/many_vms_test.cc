// Sixteen VMs of one process, created, run and stopped again and again: nothing
// of them stays.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sanitizer.h"
#include "gtest/gtest.h"
#include "tests/embed/guest_parts.h"
#include "tests/embed/process_state.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

constexpr int kVms = 16;

constexpr int kRounds = kSanitizer ? 10 : 25;

int Rounds() {
  const char* const rounds = std::getenv("EMBED_ROUNDS");
  return rounds == nullptr ? kRounds : std::atoi(rounds);
}

// All kinds of devices, which threads, descriptors and memory belong to.
VmConfig ConfigOf(int index, const UniqueFd& listener) {
  const TransportKind transport =
      index % 2 == 0 ? TransportKind::kPci : TransportKind::kMmio;
  VmConfig config = MicroguestConfig(index % 4 < 2 ? "idle" : "spin");
  config.name = absl::StrCat("vm", index);
  config.memory.size_bytes = uint64_t{16} << 20;
  config.rng = RngConfigOf(transport, "").rng;
  config.net = NetConfigOf(transport, NetConfig::Backend::kLoopback).net;
  config.vsock = VsockConfigOf(transport, listener).vsock;
  config.vsock->cid = static_cast<uint64_t>(3 + index);
  return config;
}

// One life of sixteen. Half of the guests have printed something before they
// are stopped, the other half is stopped at any moment.
void RunAll(const UniqueFd& listener) {
  std::vector<std::unique_ptr<Vmm>> vms;
  std::vector<UniqueFd> consoles;
  for (int i = 0; i < kVms; ++i) {
    const VmConfig config = ConfigOf(i, listener);
    Resources resources = OpenMicroguest(kMicroguest);
    resources.net.resize(1);
    auto vsock = OpenVsockResources(*config.vsock);
    ASSERT_TRUE(vsock.ok()) << vsock.status();
    resources.vsock = *std::move(vsock);
    auto [read_end, write_end] = MakePipe();
    resources.console_out = std::move(write_end);
    consoles.push_back(std::move(read_end));
    auto vmm = Vmm::Create(config, std::move(resources));
    ASSERT_TRUE(vmm.ok()) << vmm.status();
    vms.push_back(*std::move(vmm));
  }
  for (auto& vm : vms) ASSERT_TRUE(vm->Start().ok());
  for (int i = 0; i < kVms; i += 2) {
    char byte;
    ASSERT_EQ(::read(consoles[static_cast<size_t>(i)].get(), &byte, 1), 1);
  }
  for (auto& vm : vms) vm->Stop();
  for (auto& vm : vms) {
    ASSERT_EQ(vm->Wait().reason, ExitReason::kStopRequested);
  }
}

TEST(ManyVmsTest, NothingOfThemStays) {
  SKIP_WITHOUT_KVM();
  const UniqueFd listener = ListenSomewhere();
  // What the process itself sets up at first use, allocators above all.
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(RunAll(listener));
  const ProcessState before = StateOfProcess();
  const uint64_t allocated = AllocatedBytes();
  const uint64_t resident = PrivateBytes();
  const int rounds = Rounds();
  for (int i = 0; i < rounds; ++i) {
    ASSERT_NO_FATAL_FAILURE(RunAll(listener));
    ASSERT_EQ(StateOfProcess(before.threads), before) << "after round " << i;
  }
  std::printf("allocated %d -> %d bytes, resident %d -> %d KiB\n",
              static_cast<int>(allocated), static_cast<int>(AllocatedBytes()),
              static_cast<int>(resident >> 10),
              static_cast<int>(PrivateBytes() >> 10));
  if (kSanitizer) return;  // It keeps what was freed, and counts at the end.
  // A leak of a hundred bytes by each VM would be seen. mallinfo2(3) counts
  // what threads keep in their caches, too.
  EXPECT_LT(AllocatedBytes(),
            allocated + uint64_t(rounds) * kVms * 100 + 65536);
  // Fragments, and stacks that the C library keeps for later threads.
  EXPECT_LT(PrivateBytes(), resident + (uint64_t{8} << 20));
}

}  // namespace
}  // namespace annulus
