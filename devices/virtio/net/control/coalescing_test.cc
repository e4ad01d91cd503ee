#include "devices/virtio/net/control/coalescing.h"

#include <atomic>
#include <cstdint>

#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr Coalescing kFirst = {.max_packets = 1, .max_usecs = 2};
constexpr Coalescing kSecond = {.max_packets = 0xffffffff,
                                .max_usecs = 0x80000001};

TEST(CoalescingTableTest, EverythingIsZeroAtFirstAndAfterReset) {
  CoalescingTable table;
  EXPECT_EQ(table.Of(0), Coalescing());
  table.SetAll(Direction::kReceive, kFirst);
  table.Set(1, kFirst);
  table.Reset();
  for (uint16_t vq = 0; vq < CoalescingTable::kMaxQueues; ++vq) {
    table.QueueEnabled(vq);
    EXPECT_EQ(table.Of(vq), Coalescing()) << vq;
  }
}

TEST(CoalescingTableTest, DirectionsAreEvenAndOddQueues) {
  CoalescingTable table;
  table.SetAll(Direction::kReceive, kFirst);
  table.SetAll(Direction::kTransmit, kSecond);
  for (uint16_t vq = 0; vq < CoalescingTable::kMaxQueues; ++vq) {
    EXPECT_EQ(table.Of(vq), vq % 2 == 0 ? kFirst : kSecond) << vq;
  }
}

// "Upon disabling and re-enabling a transmit virtqueue, the device MUST set the
// coalescing parameters of the virtqueue to those configured through the
// VIRTIO_NET_CTRL_NOTF_COAL_TX_SET command, or, if the driver did not set any
// TX coalescing parameters, to 0."
TEST(CoalescingTableTest, ReEnabledQueueHasItsDirectionsParameters) {
  CoalescingTable table;
  table.Set(1, kFirst);
  table.QueueEnabled(1);
  EXPECT_EQ(table.Of(1), Coalescing());
  table.SetAll(Direction::kTransmit, kSecond);
  table.Set(1, kFirst);
  table.QueueEnabled(1);
  EXPECT_EQ(table.Of(1), kSecond);
}

TEST(CoalescingTest, NeedsBothNumbers) {
  EXPECT_TRUE((Coalescing{1, 1}).coalesces());
  EXPECT_FALSE((Coalescing{0, 1}).coalesces());
  EXPECT_FALSE((Coalescing{1, 0}).coalesces());
}

TEST(CoalescingTableTest, ReadersSeeNoHalfOfAChange) {
  CoalescingTable table;
  std::atomic<bool> done{false};
  Thread writer = Thread::Start("writer", [&] {
                    for (int i = 0; i < 20'000; ++i) {
                      table.Set(0, i % 2 == 0 ? kFirst : kSecond);
                    }
                    done = true;
                  }).value();
  int torn = 0;
  while (!done) {
    const Coalescing seen = table.Of(0);
    torn += seen != kFirst && seen != kSecond && seen != Coalescing();
  }
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace annulus::virtio
