#include "devices/virtio/vsock/connection/packet_meter.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kWindow = 256 * 1024;
// Of Linux: (packets + 1) * 576 > buf_alloc resets the connection.
constexpr uint32_t kLinuxMost = kWindow / 576;

// facts 3.9 #9: the ceiling that small packets hit while inside of the credit.
TEST(PacketMeterTest, StopsBeforeLinuxWouldReset) {
  PacketMeter meter;
  uint32_t sent = 0;
  uint32_t packets = 0;
  while (meter.free(kWindow) != 0) {
    meter.Send(1, ++sent, kWindow);
    ++packets;
  }
  EXPECT_LT(packets, kLinuxMost);
  EXPECT_GT(packets, kLinuxMost * 8 / 10);
  meter.Forward(sent, 0);
  EXPECT_EQ(meter.waiting(), 0u);
}

TEST(PacketMeterTest, TinyWindowLetsOnePacketThrough) {
  PacketMeter meter;
  EXPECT_EQ(meter.free(1), 1u);
  meter.Send(1, 1, 1);
  EXPECT_EQ(meter.free(1), 0u);
}

TEST(PacketMeterTest, HugeWindowIsNoMoreThanItsNumber) {
  const PacketMeter meter;
  EXPECT_EQ(meter.free(UINT32_MAX), uint64_t{UINT32_MAX} * 85 / 100 / 576);
}

// Against the plain list of packets: never fewer, and not many more.
TEST(PacketMeterTest, CountsAtLeastWhatTheGuestHasNotRead) {
  std::mt19937 random(1);
  PacketMeter meter;
  std::deque<uint32_t> ends;
  uint32_t sent = 0xfffe0000;  // It wraps soon.
  meter.Forward(sent, 0);
  for (int step = 0; step < 200'000; ++step) {
    ASSERT_GE(meter.waiting(), ends.size());
    if (random() % 3 != 0) {
      const uint32_t free = meter.free(kWindow);
      if (free == 0) continue;
      const uint32_t packets = 1 + random() % std::min(free, 20u);
      for (uint32_t i = 0; i < packets; ++i) {
        sent += 1 + random() % 500;
        ends.push_back(sent);
      }
      meter.Send(packets, sent, kWindow);
    } else if (!ends.empty()) {
      const size_t count = 1 + random() % ends.size();
      const uint32_t forwarded = ends[count - 1];
      ends.erase(ends.begin(), ends.begin() + count);
      meter.Forward(forwarded, 0);
      if (ends.empty()) {
        ASSERT_EQ(meter.waiting(), 0u);
      }
      // A run that is read in part: a sixteenth of the limit and one Send().
      ASSERT_LE(meter.waiting(), ends.size() + kLinuxMost / 16 + 20);
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
