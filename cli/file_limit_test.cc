#include "cli/file_limit.h"

#include <sys/resource.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

TEST(FileLimitTest, TheSoftLimitBecomesTheHardOne) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_GT(before.rlim_max, 64u);
  const rlimit low = {.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int time = 0; time < 2; ++time) {
    const absl::StatusOr<uint64_t> raised = RaiseFileLimit();
    ASSERT_TRUE(raised.ok()) << raised.status();
    EXPECT_EQ(*raised, before.rlim_max);
    rlimit after;
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(after.rlim_cur, before.rlim_max);
    EXPECT_EQ(after.rlim_max, before.rlim_max);
  }
}

TEST(FileLimitTest, OnlyALimitThatIsTooLowIsWarnedOf) {
  VmConfig config;
  EXPECT_EQ(FileLimitWarning(config, 16), std::nullopt);
  config.vsock.emplace().max_connections = 1000;
  EXPECT_EQ(FileLimitWarning(config, 1512), std::nullopt);
  EXPECT_EQ(FileLimitWarning(config, RLIM_INFINITY), std::nullopt);
  EXPECT_EQ(FileLimitWarning(config, 1511),
            "vsock.max_connections: 1000 connections may need 1512 "
            "descriptors, but the host allows 1511 (RLIMIT_NOFILE, ulimit "
            "-Hn): further connections will be refused");
}

}  // namespace
}  // namespace annulus::cli
