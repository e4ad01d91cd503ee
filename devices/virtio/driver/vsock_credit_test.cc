#include "devices/virtio/driver/vsock_credit.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(VsockSendCreditTest, NothingIsKnownOfThePeerAtFirst) {
  EXPECT_EQ(VsockSendCredit(1000).Free(), 0u);
}

TEST(VsockSendCreditTest, WindowMovesWithFwdCntAcrossTheWrap) {
  VsockSendCredit credit(100);
  uint32_t forwarded = 0;
  // 2^32 / 100 steps would take too long: large windows get there.
  VsockSendCredit large(0xffffffff);
  large.Update(0xf0000000, 0);
  large.Sent(0xf0000000);
  EXPECT_EQ(large.Free(), 0u);
  large.Update(0xf0000000, 0xf0000000);
  EXPECT_EQ(large.Free(), 0xf0000000);
  large.Sent(0x20000000);  // Across 2^32.
  EXPECT_EQ(large.Free(), 0xd0000000);
  large.Update(0xf0000000, 0x10000000);
  EXPECT_EQ(large.Free(), 0xf0000000);
  for (int i = 0; i < 10; ++i) {
    credit.Update(100, forwarded);
    EXPECT_EQ(credit.Free(), 100u);
    credit.Sent(60);
    EXPECT_EQ(credit.Free(), 40u);
    forwarded += 60;
  }
}

TEST(VsockSendCreditTest, OwnLimitBounds) {
  VsockSendCredit credit(100);
  credit.Update(0xffffffff, 0);
  EXPECT_EQ(credit.Free(), 100u);
}

TEST(VsockSendCreditTest,
     PeerThatForwardedMoreThanItGotOrShrinksGrantsNothing) {
  VsockSendCredit credit(100);
  credit.Update(100, 1);
  EXPECT_EQ(credit.Free(), 0u);
  credit.Update(100, 0);
  credit.Sent(50);
  credit.Update(40, 0);
  EXPECT_EQ(credit.Free(), 0u);
  credit.Update(60, 0);
  EXPECT_EQ(credit.Free(), 10u);
}

TEST(VsockReceiveCreditTest, DataBeyondTheWindowIsRefused) {
  VsockReceiveCredit credit(100);
  EXPECT_TRUE(credit.Received(60));
  EXPECT_FALSE(credit.Received(41));
  EXPECT_FALSE(credit.Received(0xffffffff));
  EXPECT_TRUE(credit.Received(40));
  EXPECT_FALSE(credit.Received(1));
  credit.Forward(10);
  EXPECT_FALSE(credit.Received(11));
  EXPECT_TRUE(credit.Received(10));
}

TEST(VsockReceiveCreditTest, ReportIsDueAsForLinux) {
  VsockReceiveCredit credit(256 * 1024);
  EXPECT_TRUE(credit.Received(256 * 1024));
  EXPECT_FALSE(credit.NearlySpent());
  credit.Forward(192 * 1024);
  EXPECT_FALSE(credit.NearlySpent());
  EXPECT_FALSE(credit.Drained());
  credit.Forward(1);
  EXPECT_TRUE(credit.NearlySpent());
  EXPECT_EQ(credit.Report(), 192u * 1024 + 1);
  EXPECT_FALSE(credit.NearlySpent());
  credit.Forward(credit.unread());
  EXPECT_TRUE(credit.Drained());
  credit.Report();
  EXPECT_FALSE(credit.Drained());
}

TEST(VsockReceiveCreditTest, SmallWindowIsAlwaysNearlySpent) {
  VsockReceiveCredit credit(4096);
  EXPECT_TRUE(credit.Received(2));
  EXPECT_FALSE(credit.NearlySpent());
  credit.Forward(1);
  EXPECT_TRUE(credit.NearlySpent());
}

}  // namespace
}  // namespace annulus::virtio
