// The life of VMs in a process that goes on: nothing of one is left behind, and
// several do not disturb each other.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::HasSubstr;
using testing::Not;

// Entries of a directory of /proc/self.
size_t CountEntries(const char* path) {
  DIR* directory = ::opendir(path);
  size_t count = 0;
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}
size_t CountDescriptors() { return CountEntries("/proc/self/fd"); }
size_t CountThreads() { return CountEntries("/proc/self/task"); }

std::unique_ptr<GuestVm> StartGuest(const VmConfig& config) {
  auto guest = GuestVm::Create(config);
  EXPECT_TRUE(guest.ok()) << guest.status();
  if (!guest.ok()) return nullptr;
  EXPECT_TRUE((*guest)->vmm().Start().ok());
  return *std::move(guest);
}

// All that a configuration can bring along.
VmConfig FullConfig(absl::string_view program) {
  VmConfig config = MicroguestConfig(program);
  config.cpu.count = 2;
  for (TransportKind transport : {TransportKind::kMmio, TransportKind::kPci}) {
    RngConfig rng;
    rng.virtio.transport = transport;
    config.rng.push_back(rng);
  }
  return config;
}

TEST(LifecycleTest, NeitherDescriptorsNorThreadsAreLeftBehind) {
  SKIP_WITHOUT_KVM();
  // Once before, for what the process itself sets up at first use.
  RunGuest(FullConfig("hello"));
  const size_t descriptors = CountDescriptors();
  const size_t threads = CountThreads();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RunGuest(FullConfig("hello")).exit.reason,
              ExitReason::kGuestPoweroff);
  }
  EXPECT_EQ(CountDescriptors(), descriptors);
  EXPECT_EQ(CountThreads(), threads);
}

TEST(LifecycleTest, VmThatIsNeverStartedLeavesNothing) {
  SKIP_WITHOUT_KVM();
  RunGuest(MicroguestConfig("hello"));
  const size_t descriptors = CountDescriptors();
  const size_t threads = CountThreads();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(GuestVm::Create(FullConfig("hello")).ok());
  }
  EXPECT_EQ(CountDescriptors(), descriptors);
  EXPECT_EQ(CountThreads(), threads);
}

TEST(LifecycleTest, FailedCreateLeavesNothing) {
  SKIP_WITHOUT_KVM();
  RunGuest(MicroguestConfig("hello"));
  const size_t descriptors = CountDescriptors();
  const size_t threads = CountThreads();
  for (int i = 0; i < 3; ++i) {
    // A kernel that is none.
    const auto guest = GuestVm::Create(FullConfig("hello"), "/proc/self/exe");
    EXPECT_FALSE(guest.ok());
  }
  EXPECT_EQ(CountDescriptors(), descriptors);
  EXPECT_EQ(CountThreads(), threads);
}

TEST(LifecycleTest, StopFromAnotherThreadEndsAGuestThatRuns) {
  SKIP_WITHOUT_KVM();
  for (const char* program : {"spin", "idle"}) {
    auto guest = StartGuest(MicroguestConfig(program));
    ASSERT_NE(guest, nullptr);
    ASSERT_TRUE(guest->AwaitOutput(program[0] == 's' ? "spinning" : "idle"));
    std::thread stopper([vmm = &guest->vmm()] {
      vmm->Stop();
      vmm->Stop();
    });
    // Wait() destroys nothing that Stop() needs; the VM lives until join().
    const VmExit exit = guest->vmm().Wait();
    stopper.join();
    EXPECT_EQ(exit.reason, ExitReason::kStopRequested) << program;
    EXPECT_EQ(guest->Finish().reason, ExitReason::kStopRequested);
  }
}

TEST(LifecycleTest, StopBeforeStartIsTheExitReason) {
  SKIP_WITHOUT_KVM();
  auto guest = GuestVm::Create(MicroguestConfig("hello"));
  ASSERT_TRUE(guest.ok()) << guest.status();
  (*guest)->vmm().Stop();
  EXPECT_EQ((*guest)->Finish().reason, ExitReason::kStopRequested);
  EXPECT_EQ((*guest)->Output(), "");
}

TEST(LifecycleTest, PausedGuestDoesNotRunUntilItIsResumed) {
  SKIP_WITHOUT_KVM();
  auto guest = StartGuest(MicroguestConfig("serial_echo"));
  ASSERT_NE(guest, nullptr);
  ASSERT_TRUE(guest->AwaitOutput("ready\n"));
  ASSERT_TRUE(guest->vmm().Pause().ok());
  guest->Type("asleep\n");
  // Time for an answer: the whole life of another guest.
  EXPECT_EQ(RunGuest(MicroguestConfig("hello")).exit.reason,
            ExitReason::kGuestPoweroff);
  EXPECT_THAT(guest->Output(), Not(HasSubstr("asleep")));
  ASSERT_TRUE(guest->vmm().Resume().ok());
  EXPECT_TRUE(guest->AwaitOutput("echo: asleep\n"));
  guest->Type("quit\n");
  EXPECT_EQ(guest->Finish().reason, ExitReason::kGuestPoweroff);
}

TEST(LifecycleTest, GuestThatPrintsIsPausedAndResumedAtAnyMoment) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("chatter");
  config.cpu.count = 2;
  auto guest = StartGuest(config);
  ASSERT_NE(guest, nullptr);
  Vmm& vmm = guest->vmm();
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(guest->AwaitOutput("line "));
    ASSERT_TRUE(vmm.Pause().ok());
    ASSERT_TRUE(vmm.Pause().ok());  // A repeated call is OK.
    ASSERT_TRUE(vmm.Resume().ok());
    ASSERT_TRUE(vmm.Resume().ok());
    ASSERT_TRUE(guest->AwaitOutput("\n"));
  }
  ASSERT_TRUE(vmm.Pause().ok());
  vmm.Stop();
  EXPECT_EQ(guest->Finish().reason, ExitReason::kStopRequested);
}

TEST(LifecycleTest, CallsInTheWrongStateFailAndChangeNothing) {
  SKIP_WITHOUT_KVM();
  auto created = GuestVm::Create(MicroguestConfig("spin"));
  ASSERT_TRUE(created.ok()) << created.status();
  GuestVm& guest = **created;
  Vmm& vmm = guest.vmm();
  EXPECT_EQ(vmm.Pause().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(vmm.Resume().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(vmm.Start().ok());
  EXPECT_EQ(vmm.Start().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(guest.AwaitOutput("spinning"));
  vmm.Stop();
  EXPECT_EQ(vmm.Wait().reason, ExitReason::kStopRequested);
  EXPECT_EQ(vmm.Pause().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(vmm.Resume().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(vmm.Start().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(guest.Finish().reason, ExitReason::kStopRequested);
}

TEST(LifecycleTest, SeveralVmsInOneProcessKeepApart) {
  SKIP_WITHOUT_KVM();
  constexpr int kVms = 4;
  std::vector<std::unique_ptr<GuestVm>> guests;
  for (int i = 0; i < kVms; ++i) {
    VmConfig config = MicroguestConfig("serial_echo");
    config.name = absl::StrCat("vm", i);
    guests.push_back(StartGuest(config));
    ASSERT_NE(guests.back(), nullptr);
  }
  for (auto& guest : guests) ASSERT_TRUE(guest->AwaitOutput("ready\n"));
  // One of them ends in the middle of the others' lives.
  guests[0]->vmm().Stop();
  EXPECT_EQ(guests[0]->Finish().reason, ExitReason::kStopRequested);
  for (int i = 1; i < kVms; ++i)
    guests[i]->Type(absl::StrCat("I am ", i, "\n"));
  for (int i = 1; i < kVms; ++i) {
    EXPECT_TRUE(guests[i]->AwaitOutput(absl::StrCat("echo: I am ", i, "\n")));
    guests[i]->Type("quit\n");
  }
  for (int i = 1; i < kVms; ++i) {
    EXPECT_EQ(guests[i]->Finish().reason, ExitReason::kGuestPoweroff);
    EXPECT_THAT(guests[i]->Output(), HasSubstr("PASS"));
  }
}

bool PipeIsFull(int write_end) {
  pollfd wait = {.fd = write_end, .events = POLLOUT, .revents = 0};
  return ::poll(&wait, 1, 0) == 0;
}

TEST(LifecycleTest, GuestWhoseOutputNobodyReadsCanBeStopped) {
  SKIP_WITHOUT_KVM();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  ASSERT_GT(::fcntl(write_end.get(), F_SETPIPE_SZ, 4096), 0);
  Resources resources = OpenMicroguest(kMicroguest);
  resources.console_out.reset(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 0));
  auto vmm = Vmm::Create(MicroguestConfig("chatter"), std::move(resources));
  ASSERT_TRUE(vmm.ok()) << vmm.status();
  ASSERT_TRUE((*vmm)->Start().ok());
  while (!PipeIsFull(write_end.get())) std::this_thread::yield();
  (*vmm)->Stop();
  EXPECT_EQ((*vmm)->Wait().reason, ExitReason::kStopRequested);
}

}  // namespace
}  // namespace annulus
