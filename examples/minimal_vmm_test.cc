// Builds and runs the example of the README.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

using cli::Process;
using cli::ProcessResult;

TEST(MinimalVmmTest, BootsAGuestAndSaysHowItEnded) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "no usable /dev/kvm on this host";
  }
  const std::string kernel = testing::TempDir() + "/minimal-vmm-guest";
  std::ofstream(kernel, std::ios::binary) << cli::TinyGuest();
  Process vm({std::filesystem::absolute("examples/minimal_vmm"), kernel},
             Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("at");  // Echoes "a", then makes a triple fault.
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.out, "Rat");
  EXPECT_TRUE(absl::StartsWith(result.err, "triple fault")) << result.err;
  EXPECT_EQ(result.exit_code, 1);
}

TEST(MinimalVmmTest, SaysWhatIsWrong) {
  const ProcessResult result = cli::RunProcess(
      {std::filesystem::absolute("examples/minimal_vmm"), "/no/kernel"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(result.err, "/no/kernel")) << result.err;
}

TEST(MinimalVmmTest, HasAtMost60Lines) {
  std::ifstream source("examples/minimal_vmm.cc");
  int lines = 0;
  for (std::string line; std::getline(source, line);) ++lines;
  EXPECT_GT(lines, 10);
  EXPECT_LE(lines, 60);
}

}  // namespace
}  // namespace annulus
