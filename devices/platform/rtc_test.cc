#include "devices/platform/rtc.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "devices/platform/rtc_registers.h"
#include "devices/platform/wall_clock.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// 2024-02-29 23:58:07 UTC, a Thursday.
constexpr int64_t kLeapDay = int64_t{1709251087} * kSecond;

class FakeWallClock : public WallClock {
 public:
  int64_t UnixNanoseconds() const override { return now_ns; }
  int64_t now_ns = kLeapDay;
};

class RtcTest : public testing::Test {
 protected:
  uint8_t Get(uint8_t index) {
    Select(index);
    uint8_t value = 0xaa;
    rtc_.Read(kRtcDataOffset, absl::MakeSpan(&value, 1));
    return value;
  }
  void Set(uint8_t index, uint8_t value) {
    Select(index);
    rtc_.Write(kRtcDataOffset, absl::MakeConstSpan(&value, 1));
  }
  void Select(uint8_t index) {
    rtc_.Write(kRtcIndexOffset, absl::MakeConstSpan(&index, 1));
  }

  FakeWallClock clock_;
  Rtc rtc_{clock_};
};

TEST_F(RtcTest, TimeIsBcdIn24HoursAfterPowerOn) {
  EXPECT_EQ(Get(kRtcSeconds), 0x07);
  EXPECT_EQ(Get(kRtcMinutes), 0x58);
  EXPECT_EQ(Get(kRtcHours), 0x23);
  EXPECT_EQ(Get(kRtcDayOfWeek), 5);
  EXPECT_EQ(Get(kRtcDayOfMonth), 0x29);
  EXPECT_EQ(Get(kRtcMonth), 0x02);
  EXPECT_EQ(Get(kRtcYear), 0x24);
  EXPECT_EQ(Get(kRtcCentury), 0x20);
}

TEST_F(RtcTest, BinaryModeGivesPlainNumbers) {
  Set(kRtcRegisterB, kRtcHours24 | kRtcBinary);
  EXPECT_EQ(Get(kRtcMinutes), 58);
  EXPECT_EQ(Get(kRtcHours), 23);
  EXPECT_EQ(Get(kRtcDayOfMonth), 29);
  EXPECT_EQ(Get(kRtcYear), 24);
  EXPECT_EQ(Get(kRtcCentury), 20);
}

TEST_F(RtcTest, TwelveHourModeMarksTheAfternoon) {
  Set(kRtcRegisterB, 0);
  EXPECT_EQ(Get(kRtcHours), kRtcAfternoon | 0x11);
  clock_.now_ns += 120 * kSecond;  // Past midnight.
  EXPECT_EQ(Get(kRtcHours), 0x12);
  clock_.now_ns += 12 * 3600 * kSecond;  // Past noon.
  EXPECT_EQ(Get(kRtcHours), kRtcAfternoon | 0x12);
}

TEST_F(RtcTest, LeapDayIsFollowedByTheFirstOfMarch) {
  clock_.now_ns += 120 * kSecond;
  EXPECT_EQ(Get(kRtcDayOfMonth), 0x01);
  EXPECT_EQ(Get(kRtcMonth), 0x03);
  EXPECT_EQ(Get(kRtcDayOfWeek), 6);
}

TEST_F(RtcTest, ExtremeClocksStayInRange) {
  for (int64_t now : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
    clock_.now_ns = now;
    Set(kRtcRegisterB, kRtcHours24 | kRtcBinary);
    EXPECT_LE(Get(kRtcSeconds), 59);
    EXPECT_LE(Get(kRtcHours), 23);
    EXPECT_LE(Get(kRtcMonth), 12);
    EXPECT_LE(Get(kRtcYear), 99);
  }
}

TEST_F(RtcTest, UpdateInProgressOnlyShortlyBeforeTheNextSecond) {
  EXPECT_EQ(Get(kRtcRegisterA), kRtcDividers);
  clock_.now_ns = kLeapDay + kSecond - 1;
  EXPECT_EQ(Get(kRtcRegisterA), kRtcDividers | kRtcUpdateInProgress);
  clock_.now_ns = kLeapDay + kSecond - 10'000'000;
  EXPECT_EQ(Get(kRtcRegisterA), kRtcDividers);
}

TEST_F(RtcTest, SetBitHoldsUpdateInProgressLow) {
  clock_.now_ns = kLeapDay + kSecond - 1;
  Set(kRtcRegisterB, kRtcSet | kRtcHours24);
  EXPECT_EQ(Get(kRtcRegisterA) & kRtcUpdateInProgress, 0);
}

TEST_F(RtcTest, UpdateInProgressIsReadOnly) {
  Set(kRtcRegisterA, 0xff);
  EXPECT_EQ(Get(kRtcRegisterA), 0x7f);
}

TEST_F(RtcTest, InterruptEnablesStayClear) {
  Set(kRtcRegisterB, 0xff);
  EXPECT_EQ(Get(kRtcRegisterB), 0x87);
  EXPECT_EQ(Get(kRtcRegisterC), 0);
}

TEST_F(RtcTest, RegisterDSaysValid) {
  Set(kRtcRegisterD, 0);
  EXPECT_EQ(Get(kRtcRegisterD), kRtcValid);
}

TEST_F(RtcTest, TimeIsNotWritable) {
  Set(kRtcMinutes, 0x11);
  EXPECT_EQ(Get(kRtcMinutes), 0x58);
}

TEST_F(RtcTest, ShutdownStatusAndEveryUnknownByteAreRam) {
  for (int index = 0x0e; index < 128; ++index) {
    if (index != kRtcCentury) {
      Set(static_cast<uint8_t>(index), static_cast<uint8_t>(index ^ 0x5a));
    }
  }
  for (int index = 0x0e; index < 128; ++index) {
    if (index != kRtcCentury) {
      EXPECT_EQ(Get(static_cast<uint8_t>(index)), index ^ 0x5a) << index;
    }
  }
}

TEST_F(RtcTest, NmiMaskBitIsNotPartOfTheIndex) {
  Set(kRtcShutdownStatus, 0x77);
  EXPECT_EQ(Get(0x80 | kRtcShutdownStatus), 0x77);
}

TEST_F(RtcTest, WordWriteSetsIndexThenData) {
  const uint8_t word[] = {kRtcShutdownStatus, 0x0a};
  rtc_.Write(kRtcIndexOffset, word);
  EXPECT_EQ(Get(kRtcShutdownStatus), 0x0a);
}

TEST_F(RtcTest, EveryWidthAndAlignmentOfEveryIndexSurvives) {
  for (int index = 0; index < 256; ++index) {
    for (size_t width : {1, 2, 4, 8}) {
      for (uint64_t offset = 0; offset < kRtcPortCount; ++offset) {
        Select(static_cast<uint8_t>(index));
        std::vector<uint8_t> data(width, 0xaa);
        rtc_.Read(offset, absl::MakeSpan(data));
        for (size_t i = kRtcPortCount - offset; i < width; ++i) {
          EXPECT_EQ(data[i], 0xff);  // Beyond the ports nothing answers.
        }
        rtc_.Write(offset, data);
      }
    }
  }
  EXPECT_EQ(Get(kRtcRegisterD), kRtcValid);
}

}  // namespace
}  // namespace annulus::platform
