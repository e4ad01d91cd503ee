// Runs the device of an embedder with a guest that drives it.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/subprocess.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

using cli::ProcessResult;

class CustomDeviceTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Rings, CustomDeviceTest,
                         testing::Values("packed", "split"));

TEST_P(CustomDeviceTest, GuestAsksAndTheEmbedderAnswers) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "no usable /dev/kvm on this host";
  }
  const ProcessResult result = cli::RunProcess(
      {std::filesystem::absolute("examples/custom_device"),
       std::filesystem::absolute("tests/guest/microguest.elf"),
       absl::StrCat("program=metadata pci=1 key=greeting ring=", GetParam()),
       "greeting", "hello"});
  EXPECT_TRUE(absl::StrContains(result.out, "metadata greeting is hello\n"))
      << result.out << result.err;
  EXPECT_TRUE(absl::StrContains(result.out, "PASS"));
  EXPECT_EQ(result.exit_code, 0);
}

TEST(CustomDeviceExampleTest, HasAtMost100Lines) {
  std::ifstream source("examples/custom_device.cc");
  int lines = 0;
  for (std::string line; std::getline(source, line);) ++lines;
  EXPECT_GT(lines, 50);
  EXPECT_LE(lines, 100);
}

}  // namespace
}  // namespace annulus
