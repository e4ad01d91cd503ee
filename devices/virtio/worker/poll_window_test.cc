#include "devices/virtio/worker/poll_window.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr int64_t kMost = 50'000;

TEST(PollWindowTest, IsClosedAtFirst) {
  const PollWindow window(kMost);
  EXPECT_EQ(window.length(), 0);
}

TEST(PollWindowTest, GrowsWhileWorkComesJustAfterIt) {
  PollWindow window(kMost);
  window.WorkCame(10'000);
  EXPECT_EQ(window.length(), PollWindow::kFirst);
  window.WorkCame(10'000);
  EXPECT_EQ(window.length(), 2 * PollWindow::kFirst);
  window.WorkCame(10'000);
  EXPECT_EQ(window.length(), 4 * PollWindow::kFirst);
  window.WorkCame(10'000);  // Long enough.
  EXPECT_EQ(window.length(), 4 * PollWindow::kFirst);
}

TEST(PollWindowTest, NeverGrowsBeyondItsBound) {
  PollWindow window(kMost);
  for (int i = 0; i < 100; ++i) window.WorkCame(kMost);
  EXPECT_EQ(window.length(), kMost);
}

TEST(PollWindowTest, ClosesWhenWorkStaysAway) {
  PollWindow window(kMost);
  for (int i = 0; i < 100; ++i) window.WorkCame(kMost);
  window.WorkCame(kMost + 1);
  EXPECT_EQ(window.length(), 0);
  window.WorkCame(kMost + 1);
  EXPECT_EQ(window.length(), 0);
}

TEST(PollWindowTest, BoundOfZeroKeepsItClosed) {
  PollWindow window(0);
  EXPECT_FALSE(window.can_open());
  for (int i = 0; i < 100; ++i) window.WorkCame(i);
  EXPECT_EQ(window.length(), 0);
}

// How many times without work until it opens again.
uint32_t PeriodsUntilOpen(PollWindow& window) {
  for (uint32_t i = 1; i < 10'000; ++i) {
    window.WorkCame(10'000);
    if (window.length() != 0) return i;
  }
  return 0;
}

TEST(PollWindowTest, StaysClosedLongerAndLongerWhileSomebodyElseIsThere) {
  PollWindow window(kMost);
  uint32_t expected = 2;
  for (int i = 0; i < 20; ++i) {
    window.Contended();
    EXPECT_EQ(window.length(), 0);
    EXPECT_EQ(PeriodsUntilOpen(window), expected);
    if (expected <= PollWindow::kMostPeriodsClosed) expected = 2 * expected - 1;
  }
  EXPECT_EQ(expected, PollWindow::kMostPeriodsClosed + 1);
}

TEST(PollWindowTest, ForgetsThatSomebodyElseWasThereOnceLookingFindsWork) {
  PollWindow window(kMost);
  for (int i = 0; i < 6; ++i) window.Contended();
  EXPECT_EQ(PeriodsUntilOpen(window), 33u);
  window.WorkCame(1'000);
  window.Contended();
  EXPECT_EQ(PeriodsUntilOpen(window), 2u);
}

}  // namespace
}  // namespace annulus::virtio
