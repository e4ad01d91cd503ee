// Builds and runs the example in C.

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "cli/subprocess.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

using cli::ProcessResult;

ProcessResult Boot(const std::string& kernel) {
  return cli::RunProcess({std::filesystem::absolute("examples/boot_guest"),
                          std::filesystem::absolute(kernel), "program=hello"});
}

TEST(BootGuestTest, BootsAndSaysHowItEnded) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "no usable /dev/kvm on this host";
  }
  const ProcessResult result = Boot("tests/guest/microguest.elf");
  EXPECT_TRUE(absl::StrContains(result.out, "PASS")) << result.out;
  EXPECT_TRUE(absl::StrContains(result.err, "guest poweroff")) << result.err;
  EXPECT_EQ(result.exit_code, 0);
}

TEST(BootGuestTest, SaysWhatIsWrong) {
  const ProcessResult result = Boot("no/such/kernel");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(result.err, "fd: -1")) << result.err;
}

}  // namespace
}  // namespace annulus
