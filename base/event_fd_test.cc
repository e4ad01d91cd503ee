#include "base/event_fd.h"

#include <unistd.h>

#include <cstdint>

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

}  // namespace
}  // namespace annulus
