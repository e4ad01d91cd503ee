#include "cli/sandbox_flag.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

TEST(SandboxFlagTest, Modes) {
  EXPECT_EQ(ParseSandbox("on")->mode, SandboxMode::kOn);
  EXPECT_EQ(ParseSandbox("off")->mode, SandboxMode::kOff);
  EXPECT_EQ(ParseSandbox("log")->mode, SandboxMode::kLog);
  EXPECT_EQ(ParseSandbox("log")->report, "");
  EXPECT_EQ(ParseSandbox("trace")->mode, SandboxMode::kTrace);
}

TEST(SandboxFlagTest, TheReportCanGoToAFile) {
  EXPECT_EQ(ParseSandbox("log:/tmp/a:b")->mode, SandboxMode::kLog);
  EXPECT_EQ(ParseSandbox("log:/tmp/a:b")->report, "/tmp/a:b");
  EXPECT_EQ(ParseSandbox("trace:x")->report, "x");
}

TEST(SandboxFlagTest, NothingElseIsAMode) {
  for (const char* value :
       {"", "yes", "ON", "on:x", "off:", "log:", "trace:", ":x"}) {
    const auto flag = ParseSandbox(value);
    ASSERT_FALSE(flag.ok()) << value;
    EXPECT_TRUE(absl::StrContains(flag.status().message(), "log"))
        << flag.status();
  }
}

}  // namespace
}  // namespace annulus::cli
