#include "cli/log.h"

#include "base/log_sink.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

TEST(StderrLogTest, LinesHaveTheirSeverityAndAreNoFormats) {
  testing::internal::CaptureStderr();
  {
    StderrLog log(LogSeverity::kDebug);
    log.Log(LogSeverity::kDebug, "one {} %s");
    log.Log(LogSeverity::kInfo, "two");
    log.Log(LogSeverity::kWarning, "three");
    log.Log(LogSeverity::kError, "four");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "annulus: debug: one {} %s\n"
            "annulus: info: two\n"
            "annulus: warning: three\n"
            "annulus: error: four\n");
}

TEST(StderrLogTest, LinesBelowTheLeastAreDropped) {
  testing::internal::CaptureStderr();
  {
    StderrLog log(LogSeverity::kError);
    log.Log(LogSeverity::kWarning, "no");
    log.Log(LogSeverity::kError, "yes");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "annulus: error: yes\n");
}

TEST(PrintErrorTest, IsOneLine) {
  testing::internal::CaptureStderr();
  PrintError("text");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "annulus: text\n");
}

}  // namespace
}  // namespace annulus::cli
