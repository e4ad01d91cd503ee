#include "base/event_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(EventFdTest, ManySignalsDrainAsOne) {
  const EventFd event = EventFd::Create().value();
  EXPECT_EQ(event.Drain(), 0u);
  event.Signal();
  event.Signal();
  EXPECT_GE(event.Drain(), 1u);
  EXPECT_EQ(event.Drain(), 0u);
}

TEST(EventFdTest, SaturatedCounterNeitherBlocksNorLosesTheSignal) {
  const EventFd event = EventFd::Create().value();
  const uint64_t nearly_full = UINT64_MAX - 1;
  ASSERT_EQ(::write(event.fd(), &nearly_full, sizeof(nearly_full)),
            ssize_t{sizeof(nearly_full)});
  event.Signal();
  EXPECT_GE(event.Drain(), 1u);
}

TEST(EventFdTest, DrainDoesNotWaitWhereTheOtherSideMadeItBlocking) {
  const EventFd event = EventFd::Create().value();
  ASSERT_EQ(::fcntl(event.fd(), F_SETFL, 0), 0);
  EXPECT_EQ(event.Drain(), 0u);
  event.Signal();
  EXPECT_EQ(event.Drain(), 1u);
}

TEST(EventFdTest, TimersAreDrainedToo) {
  const EventFd event(
      UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)));
  const itimerspec once = {.it_interval = {},
                           .it_value = {.tv_sec = 0, .tv_nsec = 1}};
  ASSERT_EQ(::timerfd_settime(event.fd(), 0, &once, nullptr), 0);
  pollfd ready = {.fd = event.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, -1), 1);
  EXPECT_EQ(event.Drain(), 1u);
  EXPECT_EQ(event.Drain(), 0u);
}

}  // namespace
}  // namespace annulus
