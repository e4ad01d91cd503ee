// Both sides of a ring on two real threads that sleep on eventfds: each buffer
// arrives whole and is used exactly once, and no wake-up is lost.
//
// Neither side ever polls while it waits: it asks for a notification, looks
// once more, and sleeps for as long as it takes. So one notification too few
// ends in both asleep, which the watchdog reports.

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/thread.h"
#include "gtest/gtest.h"
#include "tests/rings/ring_threads.h"

namespace annulus::virtio::threads {

namespace {

// No progress for so long is a lost wake-up, however busy the machine is.
constexpr std::chrono::seconds kPatience(30);

TEST_P(RingThreadsTest, EveryBufferComesBackOnceAndNoWakeUpIsLost) {
  Thread device =
      Thread::Start("ring-device", [this] { DeviceThread(); }).value();
  Thread driver =
      Thread::Start("ring-driver", [this] { DriverThread(); }).value();
  auto since = std::chrono::steady_clock::now();
  uint64_t before = 0;
  while (!HasFailure() && !(driver_progress_.finished.load() &&
                            device_progress_.finished.load())) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const uint64_t now =
        driver_progress_.back.load() + device_progress_.back.load();
    if (now != before) {
      before = now;
      since = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - since > kPatience) {
      Fail("no progress: a wake-up was lost");
    }
  }
  driver.Join();
  device.Join();
  if (HasFailure()) return;
  EXPECT_EQ(driver_progress_.back.load(), buffers_);
  EXPECT_EQ(driver_.free_descriptors(), case_.size);
  EXPECT_FALSE(driver_.HasUsed());
  EXPECT_FALSE(queue_.HasAvailable());
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const bool packed : {true, false}) {
    for (const unsigned bits : {0, 1, 2, 3, 4, 5, 6, 7}) {
      for (const uint16_t size : {1, 2, 7, 64, 256}) {
        cases.push_back({.packed = packed,
                         .event_idx = (bits & 1) != 0,
                         .indirect = (bits & 2) != 0,
                         .in_order = (bits & 4) != 0,
                         .size = !packed && size == 7 ? uint16_t{8} : size});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Rings, RingThreadsTest, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& info) {
                           return Name(info.param);
                         });

}  // namespace
}  // namespace annulus::virtio::threads
