#include "base/rate_limiter.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(RateLimiterTest, PassesTheBurstOfEachInterval) {
  RateLimiter limiter(2, absl::Nanoseconds(100));
  EXPECT_TRUE(limiter.Allow(1000));
  EXPECT_TRUE(limiter.Allow(1001));
  EXPECT_FALSE(limiter.Allow(1099));
  EXPECT_TRUE(limiter.Allow(1100));
  EXPECT_TRUE(limiter.Allow(1101));
  EXPECT_FALSE(limiter.Allow(1102));
}

}  // namespace
}  // namespace annulus
