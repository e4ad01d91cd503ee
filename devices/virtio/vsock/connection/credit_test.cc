#include "devices/virtio/vsock/connection/credit.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Brings the counters close to where they wrap.
void SendMuch(SendCredit& credit) {
  for (int i = 0; i < 0xffff; ++i) {
    credit.Send(0x10000);
    credit.Update(0x10000, credit.sent());
  }
}

TEST(SendCreditTest, NothingMayBeSentBeforeTheGuestSaysHowMuch) {
  const SendCredit credit;
  EXPECT_EQ(credit.free(), 0u);
}

// facts 3.9 #4: a stall behind wrong arithmetic where counters wrap.
TEST(SendCreditTest, WindowStaysRightWhereCountersWrap) {
  SendCredit credit;
  credit.Update(0x10000, 0);
  SendMuch(credit);
  ASSERT_EQ(credit.sent(), 0xffff0000u);
  EXPECT_EQ(credit.free(), 0x10000u);
  credit.Send(0x10000);
  EXPECT_EQ(credit.sent(), 0u);
  EXPECT_EQ(credit.free(), 0u);
  EXPECT_TRUE(credit.Update(0x10000, 0xffff8000));
  EXPECT_EQ(credit.free(), 0x8000u);
  EXPECT_TRUE(credit.Update(0x10000, 0));
  EXPECT_EQ(credit.free(), 0x10000u);
}

TEST(SendCreditTest, BytesThatWereNeverSentAreNotForwarded) {
  SendCredit credit;
  credit.Update(1000, 0);
  credit.Send(100);
  EXPECT_FALSE(credit.Update(1000, 101));
  EXPECT_EQ(credit.free(), 900u);
  EXPECT_TRUE(credit.Update(1000, 60));
  EXPECT_FALSE(credit.Update(1000, 59));  // Goes back.
  EXPECT_EQ(credit.unread(), 40u);
}

TEST(SendCreditTest, BufferThatShrinksBelowWhatIsUnreadLeavesNothing) {
  SendCredit credit;
  credit.Update(1000, 0);
  credit.Send(800);
  EXPECT_TRUE(credit.Update(500, 0));
  EXPECT_EQ(credit.free(), 0u);
  EXPECT_TRUE(credit.Update(500, 400));
  EXPECT_EQ(credit.free(), 100u);
}

TEST(SendCreditTest, HugeBufferIsNoMoreThanItsNumber) {
  SendCredit credit;
  credit.Update(UINT32_MAX, 0);
  EXPECT_EQ(credit.free(), UINT32_MAX);
  credit.Send(UINT32_MAX);
  EXPECT_EQ(credit.free(), 0u);
}

TEST(ReceiveCreditTest, MoreThanTheWindowIsRefused) {
  ReceiveCredit credit(1000);
  EXPECT_TRUE(credit.Receive(1000));
  EXPECT_FALSE(credit.Receive(1));
  EXPECT_TRUE(credit.Receive(0));
  EXPECT_FALSE(credit.Receive(UINT32_MAX));
  credit.Forward(10);
  EXPECT_FALSE(credit.Receive(11));
  EXPECT_TRUE(credit.Receive(10));
  EXPECT_EQ(credit.held(), 1000u);
}

TEST(ReceiveCreditTest, GuestIsToldAtHalfTheWindow) {
  ReceiveCredit credit(1000);
  ASSERT_TRUE(credit.Receive(499));
  credit.Forward(499);
  EXPECT_FALSE(credit.ReportDue());
  ASSERT_TRUE(credit.Receive(1));
  credit.Forward(1);
  EXPECT_TRUE(credit.ReportDue());
  credit.Report(credit.forwarded());
  EXPECT_FALSE(credit.ReportDue());
}

TEST(ReceiveCreditTest, BlockedGuestIsToldOfLess) {
  ReceiveCredit credit(1000);
  ASSERT_TRUE(credit.Receive(1000));
  EXPECT_FALSE(credit.ReportDue());  // There is nothing to tell.
  credit.Forward(1);
  EXPECT_TRUE(credit.ReportDue());
}

TEST(ReceiveCreditTest, WindowStaysRightWhereCountersWrap) {
  ReceiveCredit credit(0x10000);
  for (int i = 0; i < 0x10000; ++i) {
    ASSERT_TRUE(credit.Receive(0xffff));
    ASSERT_FALSE(credit.Receive(2));
    credit.Forward(0xffff);
    ASSERT_TRUE(credit.ReportDue());
    credit.Report(credit.forwarded());
  }
  EXPECT_EQ(credit.held(), 0u);
}

}  // namespace
}  // namespace annulus::virtio
