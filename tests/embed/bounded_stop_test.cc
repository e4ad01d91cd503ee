// Stop() and Wait() return whatever the guest, its back-ends and the readers of
// its console do. Nothing here looks at a clock: what does not return hangs the
// test. tools/bench embed measures how long it takes.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "gtest/gtest.h"
#include "tests/embed/guest_parts.h"
#include "tests/embed/mute_back_end.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using vhost_user::Message;
using vhost_user::Request;

constexpr uint64_t kForever = 1'000'000'000;  // Rounds.

std::unique_ptr<Vmm> Create(const VmConfig& config, Resources resources) {
  auto vmm = Vmm::Create(config, std::move(resources));
  EXPECT_TRUE(vmm.ok()) << vmm.status();
  return vmm.ok() ? *std::move(vmm) : nullptr;
}

void ExpectStops(Vmm& vmm) {
  vmm.Stop();
  EXPECT_EQ(vmm.Wait().reason, ExitReason::kStopRequested);
}

// Starts a guest, and stops it when it has printed `text`.
void StopAfter(const VmConfig& config, const std::string& text) {
  auto guest = GuestVm::Create(config);
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput(text)) << (*guest)->Output();
  (*guest)->vmm().Stop();
  EXPECT_EQ((*guest)->Finish().reason, ExitReason::kStopRequested);
}

TEST(BoundedStopTest, ThirtyTwoProcessorsThatSpin) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("smp");
  config.cpu.count = 32;
  config.boot.cmdline += " cpus=32 spin=1";
  StopAfter(config, "all spin");
}

TEST(BoundedStopTest, HaltedGuest) {
  SKIP_WITHOUT_KVM();
  StopAfter(MicroguestConfig("idle"), "idle");
}

TEST(BoundedStopTest, QueueWorkersThatPoll) {
  SKIP_WITHOUT_KVM();
  VmConfig config =
      NetConfigOf(TransportKind::kPci, NetConfig::Backend::kLoopback, kForever);
  config.net[0].poll = PollKind::kAlways;
  StopAfter(config, "microguest");
}

// The pipe is full, it blocks, and nobody reads; the guest goes on printing.
TEST(BoundedStopTest, ConsoleThatNobodyReads) {
  SKIP_WITHOUT_KVM();
  auto [read_end, write_end] = MakePipe();
  ASSERT_GT(::fcntl(write_end.get(), F_SETPIPE_SZ, 4096), 0);
  Resources resources = OpenMicroguest(kMicroguest);
  resources.console_out.reset(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 0));
  const auto vmm = Create(MicroguestConfig("chatter"), std::move(resources));
  ASSERT_NE(vmm, nullptr);
  ASSERT_TRUE(vmm->Start().ok());
  pollfd room = {.fd = write_end.get(), .events = POLLOUT, .revents = 0};
  while (::poll(&room, 1, 0) != 0) std::this_thread::yield();
  ExpectStops(*vmm);
}

// Another process has the write end, too, and takes all room that there is.
TEST(BoundedStopTest, ConsoleThatAnotherWriterFills) {
  SKIP_WITHOUT_KVM();
  auto [read_end, write_end] = MakePipe();
  Resources resources = OpenMicroguest(kMicroguest);
  resources.console_out.reset(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 0));
  const auto vmm = Create(MicroguestConfig("chatter"), std::move(resources));
  ASSERT_NE(vmm, nullptr);
  ASSERT_TRUE(vmm->Start().ok());
  ::signal(SIGPIPE, SIG_IGN);  // As any program does that writes to pipes.
  std::thread other([fd = write_end.get()] {
    const std::string much(size_t{1} << 20, 'o');
    (void)!::write(fd, much.data(), much.size());
  });
  char byte;
  ASSERT_EQ(::read(read_end.get(), &byte, 1), 1);
  ExpectStops(*vmm);
  read_end.reset();  // Ends the other writer.
  other.join();
}

// A card that another process serves, and ceases to at `request`.
class DeafBackEndTest : public testing::TestWithParam<Request> {};

TEST_P(DeafBackEndTest, IsNotWaitedFor) {
  SKIP_WITHOUT_KVM();
  MuteBackEnd back_end([wanted = GetParam()](const Message& message) {
    return message.request == static_cast<uint32_t>(wanted);
  });
  const auto created = back_end.CreateVm();
  ASSERT_TRUE(created.ok()) << created.status();
  Vmm& vmm = **created;
  ASSERT_TRUE(vmm.Start().ok());
  // A vCPU waits for the answer now, if that request is one of a start.
  if (GetParam() != Request::kGetVringBase) back_end.AwaitMute();
  ExpectStops(vmm);
}

// The last one is asked when the VM ends.
INSTANTIATE_TEST_SUITE_P(All, DeafBackEndTest,
                         testing::Values(Request::kSetMemTable,
                                         Request::kSetVringNum,
                                         Request::kSetVringEnable,
                                         Request::kGetVringBase));

// It has filled up the eventfd by which the guest notifies it, and made it
// block.
TEST(BoundedStopTest, BackEndThatMakesNotificationsBlock) {
  SKIP_WITHOUT_KVM();
  std::atomic<bool> filled{false};
  MuteBackEnd back_end([&filled](const Message& message) {
    if (message.request != static_cast<uint32_t>(Request::kSetVringKick)) {
      return false;
    }
    for (const UniqueFd& fd : message.fds) {
      const uint64_t most = UINT64_MAX - 1;
      (void)!::write(fd.get(), &most, sizeof(most));
      (void)::fcntl(fd.get(), F_SETFL, 0);
      filled = true;
    }
    return false;
  });
  const auto created = back_end.CreateVm();
  ASSERT_TRUE(created.ok()) << created.status();
  Vmm& vmm = **created;
  ASSERT_TRUE(vmm.Start().ok());
  while (!filled) std::this_thread::yield();
  ExpectStops(vmm);
}

TEST(BoundedStopTest, VsockCallerThatReadsNothing) {
  SKIP_WITHOUT_KVM();
  const UniqueFd listener = ListenSomewhere();
  const UniqueFd caller = Call(listener);
  const std::string text =
      absl::StrCat("CONNECT 5678\n", std::string(100'000, 'x'));
  ASSERT_GT(::send(caller.get(), text.data(), text.size(),
                   MSG_NOSIGNAL | MSG_DONTWAIT),
            0);
  const VmConfig config = VsockConfigOf(TransportKind::kPci, listener);
  auto guest = GuestVm::Create(config);
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput("listening"));
  char byte;
  ASSERT_EQ(::recv(caller.get(), &byte, 1, 0), 1);  // It is connected.
  (*guest)->vmm().Stop();
  EXPECT_EQ((*guest)->Finish().reason, ExitReason::kStopRequested);
}

NET_NAMESPACE_TEST(BoundedStopTest, TapThatIsDown) {
  SKIP_WITHOUT_KVM();
  VmConfig config = NetConfigOf(TransportKind::kPci, NetConfig::Backend::kTap);
  config.boot.kernel = kMicroguest;
  config.console.kind = ConsoleConfig::Kind::kNull;
  config.net[0].tap = "annulus0";
  config.net[0].create_tap = true;
  auto resources = OpenResources(config);
  ASSERT_TRUE(resources.ok()) << resources.status();
  virtio::RunCommand("ip link set annulus0 down");
  auto [read_end, write_end] = MakePipe();
  resources->console_out = std::move(write_end);
  const auto vmm = Create(config, *std::move(resources));
  ASSERT_NE(vmm, nullptr);
  ASSERT_TRUE(vmm->Start().ok());
  char byte;
  ASSERT_EQ(::read(read_end.get(), &byte, 1), 1);  // The guest runs.
  ExpectStops(*vmm);
}

TEST(BoundedStopTest, StopOfManyThreadsAtOnce) {
  SKIP_WITHOUT_KVM();
  const auto vmm =
      Create(MicroguestConfig("spin"), OpenMicroguest(kMicroguest));
  ASSERT_NE(vmm, nullptr);
  ASSERT_TRUE(vmm->Start().ok());
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 16; ++i) {
    stoppers.emplace_back([&vmm] { vmm->Stop(); });
  }
  EXPECT_EQ(vmm->Wait().reason, ExitReason::kStopRequested);
  for (std::thread& stopper : stoppers) stopper.join();
}

TEST(BoundedStopTest, StopBeforeStart) {
  SKIP_WITHOUT_KVM();
  const auto vmm =
      Create(MicroguestConfig("spin"), OpenMicroguest(kMicroguest));
  ASSERT_NE(vmm, nullptr);
  ExpectStops(*vmm);
  EXPECT_EQ(vmm->Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(BoundedStopTest, DestructionWithoutStop) {
  SKIP_WITHOUT_KVM();
  for (const bool started : {false, true}) {
    const auto vmm =
        Create(MicroguestConfig("spin"), OpenMicroguest(kMicroguest));
    ASSERT_NE(vmm, nullptr);
    if (started) {
      ASSERT_TRUE(vmm->Start().ok());
    }
  }
}

TEST(BoundedStopTest, StopWhileOthersPauseAndResume) {
  SKIP_WITHOUT_KVM();
  for (int i = 0; i < 10; ++i) {
    VmConfig config = MicroguestConfig("spin");
    config.cpu.count = 4;
    const auto vmm = Create(config, OpenMicroguest(kMicroguest));
    ASSERT_NE(vmm, nullptr);
    ASSERT_TRUE(vmm->Start().ok());
    std::vector<std::thread> others;
    std::atomic<int> rounds{0};
    for (int j = 0; j < 2; ++j) {
      others.emplace_back([&] {
        while (vmm->Pause().ok() && vmm->Resume().ok()) ++rounds;
      });
    }
    while (rounds < 5) std::this_thread::yield();
    vmm->Stop();
    for (std::thread& other : others) other.join();
    EXPECT_EQ(vmm->Wait().reason, ExitReason::kStopRequested);
  }
}

// Stops the VM when it complains of the guest, on whatever thread it does.
class StoppingLog final : public LogSink {
 public:
  void Log(LogSeverity severity, absl::string_view) override {
    Vmm* const vmm = vmm_.load();
    if (severity < LogSeverity::kWarning || vmm == nullptr) return;
    vmm->Stop();
    stopped = true;
  }
  void set_vmm(Vmm* vmm) { vmm_ = vmm; }

  std::atomic<bool> stopped{false};

 private:
  std::atomic<Vmm*> vmm_{nullptr};
};

TEST(BoundedStopTest, StopFromALogLine) {
  SKIP_WITHOUT_KVM();
  StoppingLog log;
  Resources resources = OpenMicroguest(kMicroguest);
  resources.log = &log;
  const auto vmm =
      Create(RngConfigOf(TransportKind::kPci, "hostile"), std::move(resources));
  ASSERT_NE(vmm, nullptr);
  log.set_vmm(vmm.get());
  ASSERT_TRUE(vmm->Start().ok());
  EXPECT_EQ(vmm->Wait().reason, ExitReason::kStopRequested);
  EXPECT_TRUE(log.stopped);
}

}  // namespace
}  // namespace annulus
