// `annulus ctl` with a machine that runs, and with none.

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Annulus() { return std::filesystem::absolute("cli/annulus"); }

class CtlTest : public testing::Test {
 protected:
  CtlTest()
      : kernel_(std::filesystem::path(testing::TempDir()) /
                absl::StrCat("tiny-guest-", ::getpid())),
        socket_(absl::StrCat("/tmp/annulus_ctl.", ::getpid())) {
    std::ofstream(kernel_, std::ios::binary) << TinyGuest();
  }
  ~CtlTest() override { std::filesystem::remove(kernel_); }

  void SetUp() override {
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "no usable /dev/kvm on this host";
    }
  }

  std::vector<std::string> Run(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {
        Annulus(), "run",          "--kernel",  kernel_, "--memory",
        "16M",     "--debug-exit", "--control", socket_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  ProcessResult Ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {Annulus(), "ctl", socket_});
    return RunProcess(arguments);
  }
  std::string Out(const std::vector<std::string>& arguments) const {
    const ProcessResult result = Ctl(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  const std::string kernel_;
  const std::string socket_;
};

TEST_F(CtlTest, AsksPausesAndStopsAMachine) {
  Process vm(Run({"--name", "tiny", "--net", "loopback"}),
             Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  struct stat status;
  ASSERT_EQ(::stat(socket_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_THAT(Out({"status"}), StartsWith("name:    tiny\nstate:   running\n"));
  EXPECT_EQ(Out({"pause"}), "");
  EXPECT_EQ(Out({"pause"}), "");
  EXPECT_THAT(Out({"status"}), HasSubstr("state:   paused\n"));
  EXPECT_THAT(Out({"--json", "status"}), HasSubstr("\"state\":\"PAUSED\""));
  EXPECT_EQ(Out({"resume"}), "");
  vm.Write("x");
  EXPECT_TRUE(vm.Await("Rx"));
  EXPECT_EQ(Out({"link", "net0", "down"}), "");
  EXPECT_THAT(
      Out({"metrics"}),
      HasSubstr("\nannulus_net_link_up{vm=\"tiny\",device=\"net0\"} 0\n"));
  EXPECT_EQ(Out({"link", "0", "up"}), "");
  const ProcessResult refused = Ctl({"link", "1", "up"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.err,
            absl::StrCat("annulus: ", socket_, ": there is no card net1\n"));
  EXPECT_EQ(Out({"stop"}), "stop requested: through the control socket\n");
  const ProcessResult ended = vm.Wait();
  EXPECT_EQ(ended.exit_code, 6);
  EXPECT_EQ(ended.err, "annulus: stop requested: through the control socket\n");
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0);
}

TEST_F(CtlTest, EventsAreLinesUntilTheEnd) {
  Process vm(Run(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  Process events({Annulus(), "ctl", socket_, "events"},
                 Process::Streams::kPipes);
  // What happens before it listens, it does not hear.
  std::atomic<bool> heard = false;
  std::thread toggles([&] {
    while (!heard) {
      Out({"pause"});
      Out({"resume"});
    }
  });
  EXPECT_TRUE(events.Await("Z paused\n"));
  EXPECT_TRUE(events.Await("Z resumed\n"));
  heard = true;
  toggles.join();
  vm.Write("q");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
  const ProcessResult result = events.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(
      absl::EndsWith(result.out, absl::StrCat("Z stopped: debug exit (code ",
                                              static_cast<int>('q'), ")\n")))
      << result.out;
}

// This guest knows no power button.
TEST_F(CtlTest, GracefulStopEndsAGuestThatDoesNotListenInTheEnd) {
  Process vm(Run(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  EXPECT_EQ(Out({"stop", "--graceful", "0.2"}),
            "stop requested: through the control socket\n");
  EXPECT_EQ(vm.Wait().exit_code, 6);
}

TEST_F(CtlTest, NobodyThereIsAnErrorThatNamesTheSocket) {
  const ProcessResult result = Ctl({"status"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(socket_));
  EXPECT_THAT(result.err, HasSubstr("No such file"));
}

TEST_F(CtlTest, WrongArgumentsAreUsageErrors) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"frobnicate"},
                                             {"status", "now"},
                                             {"link", "net0"},
                                             {"link", "x", "up"},
                                             {"link", "0", "sideways"},
                                             {"status", "--graceful", "1"},
                                             {"stop", "--graceful", "soon"},
                                             {"stop", "--graceful", "-1"},
                                             {"status", "--timeout", "0"}}) {
    const ProcessResult result = Ctl(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr("see annulus ctl --help"));
  }
}

}  // namespace
}  // namespace annulus::cli
