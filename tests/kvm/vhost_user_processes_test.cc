// `annulus run` with devices that `annulus device` serves: processes of their
// own, and a guest that shares no code with them.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"

namespace annulus {
namespace {

using cli::Process;
using cli::ProcessResult;
using testing::Combine;
using testing::HasSubstr;
using testing::Values;

// Words with blanks between; "|" is a blank in a word.
std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words = {std::filesystem::absolute("cli/annulus")};
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    std::string& added = words.emplace_back(word);
    for (char& c : added) {
      if (c == '|') c = ' ';
    }
  }
  return words;
}

class VhostUserProcessesTest : public testing::Test {
 protected:
  VhostUserProcessesTest()
      : path_(absl::StrCat("/tmp/annulus_processes_", ::getpid())) {}
  ~VhostUserProcessesTest() override { ::unlink(path_.c_str()); }

  static std::unique_ptr<Process> Start(const std::string& words) {
    return std::make_unique<Process>(Words(words), Process::Streams::kPipes);
  }

  // Until it has made its socket. The test's time limit ends it.
  std::unique_ptr<Process> Serve(const std::string& words) {
    auto process = Start(absl::StrCat("device ", words, " --socket ", path_));
    EXPECT_TRUE(process->Await("waits for front-ends at")) << words;
    return process;
  }

  // A small machine that runs `program` of the microguest, with the device of
  // `flags`.
  static std::unique_ptr<Process> RunGuestOf(const std::string& program,
                                             const std::string& flags) {
    return Start(absl::StrCat("run --memory 64M --kernel ",
                              std::filesystem::absolute(kMicroguest).string(),
                              " --cmdline program=", program, " ", flags));
  }

  static void ExpectPassed(Process& vm) {
    const ProcessResult result = vm.Wait();
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("PASS"));
  }

  const std::string path_;
};

class VhostUserRingsTest : public VhostUserProcessesTest,
                           public testing::WithParamInterface<const char*> {
 protected:
  std::string ring() const { return GetParam(); }
};

TEST_P(VhostUserRingsTest, EntropyDevice) {
  SKIP_WITHOUT_KVM();
  const auto back_end = Serve("rng -v");
  const auto vm = RunGuestOf(absl::StrCat("rng|pci=1|ring=", ring()),
                             absl::StrCat("--rng vhost-user=", path_));
  ExpectPassed(*vm);
  EXPECT_TRUE(back_end->Await("the front-end hung up"));
}

TEST_P(VhostUserRingsTest, CardOfFourQueuePairs) {
  SKIP_WITHOUT_KVM();
  const auto back_end = Serve("net -v --backend loopback,queues=4");
  const auto vm =
      RunGuestOf(absl::StrCat("net_echo|pci=1|pairs=4|rounds=20|ring=", ring()),
                 absl::StrCat("--net vhost-user=", path_));
  ExpectPassed(*vm);
}

// The machine makes the socket; the processes come in either order.
TEST_P(VhostUserRingsTest, MachineListensAndDeviceConnects) {
  SKIP_WITHOUT_KVM();
  const std::string device =
      absl::StrCat("device net --backend loopback --connect ", path_);
  const std::string card = absl::StrCat("--net vhost-user=", path_, ",listen");
  const std::string program =
      absl::StrCat("net_echo|pci=1|rounds=5|ring=", ring());
  {
    const auto back_end = Start(device);
    const auto vm = RunGuestOf(program, card);
    ExpectPassed(*vm);
  }
  const auto vm = RunGuestOf(program, card);
  EXPECT_TRUE(vm->Await("net0: waits for its back-end"));
  const auto back_end = Start(device);
  ExpectPassed(*vm);
}

INSTANTIATE_TEST_SUITE_P(All, VhostUserRingsTest, Values("packed", "split"));

TEST_F(VhostUserProcessesTest, MachineThatWaitsEndsAtASignal) {
  SKIP_WITHOUT_KVM();
  const auto vm = RunGuestOf(
      "rng|pci=1", absl::StrCat("--rng vhost-user=", path_, ",listen"));
  EXPECT_TRUE(vm->Await("rng0: waits for its back-end"));
  vm->Kill(SIGTERM);
  EXPECT_NE(vm->Wait().exit_code, 0);
  // It has left its file behind, which the next one replaces.
  const auto next = RunGuestOf(
      "rng|pci=1", absl::StrCat("--rng vhost-user=", path_, ",listen"));
  const auto back_end = Start(absl::StrCat("device rng --connect ", path_));
  ExpectPassed(*next);
}

TEST_F(VhostUserProcessesTest, NobodyThereIsAnErrorThatNamesTheFlag) {
  SKIP_WITHOUT_KVM();
  const auto vm =
      RunGuestOf("rng|pci=1", absl::StrCat("--rng vhost-user=", path_));
  const ProcessResult result = vm->Wait();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("rng[0].vhost_user.socket: ",
                                                 path_, ": No such file")));
}

// Stopping does not wait for a device that does nothing any more.
TEST_F(VhostUserProcessesTest, MachineEndsWhileItsBackEndIsStopped) {
  SKIP_WITHOUT_KVM();
  const auto back_end = Serve("rng -v");
  const auto vm = RunGuestOf("rng|pci=1|rounds=1000000",
                             absl::StrCat("--rng vhost-user=", path_));
  EXPECT_TRUE(vm->Await("microguest"));
  back_end->Kill(SIGSTOP);
  vm->Kill(SIGTERM);
  EXPECT_EQ(vm->Wait().exit_code, 128 + SIGTERM);
}

}  // namespace
}  // namespace annulus
