// What befalls one VM of a process does not befall the other: that one goes on
// with its traffic, to a good end.

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "tests/embed/guest_parts.h"
#include "tests/embed/mute_back_end.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

// Two neighbours: one whose guest has its frames back, and takes as long as its
// network lets it; and one that answers what is typed.
class IsolationTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_KVM();
    auto typist = GuestVm::Create(MicroguestConfig("serial_echo"));
    ASSERT_TRUE(typist.ok()) << typist.status();
    typist_ = *std::move(typist);
    ASSERT_TRUE(typist_->vmm().Start().ok());
    ASSERT_TRUE(typist_->AwaitOutput("ready\n"));
    auto echo = GuestVm::Create(NetConfigOf(
        TransportKind::kPci, NetConfig::Backend::kLoopback, kRounds));
    ASSERT_TRUE(echo.ok()) << echo.status();
    echo_ = *std::move(echo);
    ASSERT_TRUE(echo_->vmm().Start().ok());
  }

  void TearDown() override {
    if (typist_ == nullptr || echo_ == nullptr) return;
    typist_->Type("still here\n");
    EXPECT_TRUE(typist_->AwaitOutput("echo: still here\n"));
    typist_->Type("quit\n");
    EXPECT_EQ(typist_->Finish().reason, ExitReason::kGuestPoweroff);
    EXPECT_TRUE(echo_->AwaitOutput(absl::StrCat("echoed ", kRounds, " on 1")))
        << echo_->Output();
    EXPECT_EQ(echo_->Finish().reason, ExitReason::kGuestPoweroff);
  }

  static constexpr int kRounds = 300;
  std::unique_ptr<GuestVm> typist_;
  std::unique_ptr<GuestVm> echo_;
};

TEST_F(IsolationTest, TripleFault) {
  EXPECT_EQ(RunGuest(MicroguestConfig("triple_fault")).exit.reason,
            ExitReason::kTripleFault);
}

TEST_F(IsolationTest, EmulationFailure) {
  const ExitReason reason =
      RunGuest(MicroguestConfig("emulation_failure")).exit.reason;
  // Real hardware has nothing to fail on.
  EXPECT_TRUE(reason == ExitReason::kEmulationFailure ||
              reason == ExitReason::kGuestPoweroff);
}

TEST_F(IsolationTest, Reset) {
  EXPECT_EQ(RunGuest(MicroguestConfig("reset_i8042")).exit.reason,
            ExitReason::kGuestReset);
}

TEST_F(IsolationTest, BrokenQueues) {
  for (const TransportKind transport :
       {TransportKind::kPci, TransportKind::kMmio}) {
    ExpectPass(RunGuest(RngConfigOf(transport, "hostile")));
  }
}

TEST_F(IsolationTest, DeadBackEnd) {
  auto back_end = std::make_unique<MuteBackEnd>([](const auto& message) {
    return message.request ==
           static_cast<uint32_t>(vhost_user::Request::kSetVringEnable);
  });
  const auto vmm = back_end->CreateVm();
  ASSERT_TRUE(vmm.ok()) << vmm.status();
  ASSERT_TRUE((*vmm)->Start().ok());
  back_end->AwaitMute();
  back_end.reset();
  // The guest sees DEVICE_NEEDS_RESET, and gives up.
  EXPECT_EQ((*vmm)->Wait().reason, ExitReason::kGuestPoweroff);
}

TEST_F(IsolationTest, ReaderOfTheConsoleThatDies) {
  auto [read_end, write_end] = MakePipe();
  Resources resources = OpenMicroguest(kMicroguest);
  resources.console_out = std::move(write_end);
  auto vmm = Vmm::Create(MicroguestConfig("chatter"), std::move(resources));
  ASSERT_TRUE(vmm.ok()) << vmm.status();
  ASSERT_TRUE((*vmm)->Start().ok());
  char byte;
  ASSERT_EQ(::read(read_end.get(), &byte, 1), 1);
  read_end.reset();  // SIGPIPE is what would kill the process.
  EXPECT_NE((*vmm)->state(), VmState::kStopped);
  (*vmm)->Stop();
  EXPECT_EQ((*vmm)->Wait().reason, ExitReason::kStopRequested);
}

TEST_F(IsolationTest, KernelThatIsNone) {
  EXPECT_FALSE(GuestVm::Create(MicroguestConfig(""), "/proc/self/exe").ok());
}

}  // namespace
}  // namespace annulus
