#include "base/token_bucket.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "gtest/gtest.h"

namespace annulus {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kHuge = uint64_t{1} << 63;

TEST(TokenBucketTest, StartsFullAndRefillsAtTheRate) {
  TokenBucket bucket(1000, 10);
  EXPECT_TRUE(bucket.Take(10, 0));
  EXPECT_FALSE(bucket.Take(1, 0));
  EXPECT_EQ(bucket.NanosecondsUntil(1, 0), kSecond / 1000);
  EXPECT_FALSE(bucket.Take(1, kSecond / 1000 - 1));
  EXPECT_TRUE(bucket.Take(1, kSecond / 1000));
}

TEST(TokenBucketTest, KeepsNoMoreThanTheBurst) {
  TokenBucket bucket(1000, 10);
  EXPECT_TRUE(bucket.Take(10, 0));
  EXPECT_TRUE(bucket.Take(10, 100 * kSecond));
  EXPECT_FALSE(bucket.Take(1, 100 * kSecond));
}

TEST(TokenBucketTest, LargerThanTheBurstPassesWhenFullAndLeavesADebt) {
  TokenBucket bucket(1000, 10);
  EXPECT_TRUE(bucket.Take(1010, 0));
  EXPECT_EQ(bucket.NanosecondsUntil(0, 0), kSecond);
  EXPECT_EQ(bucket.NanosecondsUntil(1, 0), kSecond + kSecond / 1000);
  // Full again after the debt of 1000 and the 10 of the burst.
  const int64_t full = kSecond + kSecond / 100;
  EXPECT_EQ(bucket.NanosecondsUntil(5000, 0), full);
  EXPECT_FALSE(bucket.Take(5000, full - 1));
  EXPECT_TRUE(bucket.Take(5000, full));
}

TEST(TokenBucketTest, RateZeroIsNoLimit) {
  TokenBucket bucket(0, 0);
  EXPECT_FALSE(bucket.limited());
  EXPECT_TRUE(bucket.Take(UINT64_MAX, 0));
  EXPECT_TRUE(bucket.Take(UINT64_MAX, 0));
  EXPECT_EQ(bucket.NanosecondsUntil(UINT64_MAX, 0), 0);
}

TEST(TokenBucketTest, BurstZeroIsATenthOfASecondAndAtLeastOne) {
  TokenBucket bucket(1000, 0);
  EXPECT_TRUE(bucket.Take(100, 0));
  EXPECT_FALSE(bucket.Take(1, 0));
  TokenBucket slow(3, 0);
  EXPECT_TRUE(slow.Take(1, 0));
  EXPECT_FALSE(slow.Take(1, 0));
}

TEST(TokenBucketTest, TimeThatGoesBackwardsGivesAndTakesNothing) {
  TokenBucket bucket(1000, 10);
  EXPECT_TRUE(bucket.Take(10, kSecond));
  EXPECT_FALSE(bucket.Take(1, 0));
  EXPECT_EQ(bucket.NanosecondsUntil(1, 0), kSecond + kSecond / 1000);
  EXPECT_FALSE(bucket.Take(1, kSecond));
  EXPECT_TRUE(bucket.Take(1, kSecond + kSecond / 1000));
}

TEST(TokenBucketTest, NoFractionIsLostHoweverOftenItIsAsked) {
  // 3 tokens per second asked every nanosecond-and-a-bit: a bucket that rounds
  // at each call would never fill.
  TokenBucket bucket(3, 1);
  EXPECT_TRUE(bucket.Take(1, 0));
  uint64_t passed = 0;
  for (int64_t now = 0; now <= 10 * kSecond; now += 99'991) {
    if (bucket.Take(1, now)) ++passed;
  }
  EXPECT_GE(passed, 29u);
  EXPECT_LE(passed, 30u);
}

TEST(TokenBucketTest, ExtremesDoNotOverflow) {
  for (const uint64_t rate : {uint64_t{1}, kHuge, UINT64_MAX}) {
    for (const uint64_t burst : {uint64_t{1}, kHuge, UINT64_MAX}) {
      TokenBucket bucket(rate, burst);
      ASSERT_TRUE(bucket.Take(UINT64_MAX, INT64_MIN));
      const int64_t wait = bucket.NanosecondsUntil(UINT64_MAX, INT64_MIN);
      EXPECT_GT(wait, 0);
      if (wait == INT64_MAX) {
        // More than 292 years: it is not there any earlier.
        EXPECT_FALSE(bucket.Take(UINT64_MAX, -2));
        continue;
      }
      EXPECT_FALSE(bucket.Take(UINT64_MAX, INT64_MIN + wait - 1));
      EXPECT_TRUE(bucket.Take(UINT64_MAX, INT64_MIN + wait));
    }
  }
  TokenBucket bucket(UINT64_MAX, UINT64_MAX);
  EXPECT_TRUE(bucket.Take(UINT64_MAX, INT64_MIN));
  EXPECT_TRUE(bucket.Take(UINT64_MAX, INT64_MAX));
}

// What has passed is at most rate x time + burst + one amount (the debt), what
// has to wait passes exactly when promised, and a taker that always waits gets
// the whole rate.
TEST(TokenBucketTest, PropertiesHoldForAnyRateBurstAndAmounts) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const uint64_t rate = (random() >> (random() % 62)) / 2 + 1;
    const uint64_t burst = (random() >> (random() % 62)) / 2 + 1;
    const uint64_t most = std::min<uint64_t>(random() >> (random() % 62), rate);
    TokenBucket bucket(rate, burst);
    int64_t now = static_cast<int64_t>(random() >> 4);
    const int64_t start = now;
    unsigned __int128 taken = 0;
    for (int step = 0; step < 50; ++step) {
      const uint64_t amount = most == 0 ? 0 : random() % most;
      const int64_t wait = bucket.NanosecondsUntil(amount, now);
      ASSERT_GE(wait, 0);
      ASSERT_LT(wait, INT64_MAX);
      if (wait > 0) {
        ASSERT_FALSE(bucket.Take(amount, now));
        ASSERT_FALSE(bucket.Take(amount, now + wait - 1));
      }
      now += wait;
      ASSERT_TRUE(bucket.Take(amount, now));
      taken += amount;
      const auto elapsed = static_cast<unsigned __int128>(now - start);
      const unsigned __int128 budget = elapsed * rate / kSecond + burst;
      ASSERT_LE(taken, budget + amount);
      // Waiting no longer than needed leaves nothing unused but the burst and
      // what comes in within a nanosecond at each wait.
      const unsigned __int128 unused =
          burst +
          static_cast<unsigned __int128>(rate / kSecond + 1) * (step + 1);
      ASSERT_GE(taken + unused, budget);
    }
  }
}

}  // namespace
}  // namespace annulus
