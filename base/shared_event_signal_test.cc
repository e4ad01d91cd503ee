#include "base/shared_event_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(SharedEventSignalTest, IsCounted) {
  auto signal = SharedEventSignal::Create();
  ASSERT_TRUE(signal.ok()) << signal.status();
  const EventFd event = *EventFd::Create();
  for (int i = 0; i < 1000; ++i) signal->Signal(event.fd());
  EXPECT_EQ(event.Drain(), 1000u);
  EXPECT_EQ(event.Drain(), 0u);
}

TEST(SharedEventSignalTest, MovedOneSignals) {
  auto signal = SharedEventSignal::Create();
  ASSERT_TRUE(signal.ok()) << signal.status();
  const SharedEventSignal moved = *std::move(signal);
  const EventFd event = *EventFd::Create();
  moved.Signal(event.fd());
  EXPECT_EQ(event.Drain(), 1u);
}

// EventFd::Signal() hangs here.
TEST(SharedEventSignalTest, FullOneThatBlocksHoldsNobodyUp) {
  auto signal = SharedEventSignal::Create();
  ASSERT_TRUE(signal.ok()) << signal.status();
  const EventFd event = *EventFd::Create();
  const uint64_t most = UINT64_MAX - 1;
  ASSERT_EQ(::write(event.fd(), &most, sizeof(most)), ssize_t{sizeof(most)});
  ASSERT_EQ(::fcntl(event.fd(), F_SETFL, 0), 0);
  for (int i = 0; i < 3; ++i) signal->Signal(event.fd());
  pollfd fd = {.fd = event.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&fd, 1, 0), 1);
  EXPECT_EQ(event.Drain(), UINT64_MAX);
}

}  // namespace
}  // namespace annulus
