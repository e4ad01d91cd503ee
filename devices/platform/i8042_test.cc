#include "devices/platform/i8042.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "devices/platform/i8042_registers.h"
#include "devices/platform/platform_control_fake.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

class I8042Test : public testing::Test {
 protected:
  void Write(uint64_t offset, std::vector<uint8_t> data) {
    i8042_.Write(offset, data);
  }
  std::vector<uint8_t> Read(uint64_t offset, size_t width) {
    std::vector<uint8_t> data(width, 0xaa);
    i8042_.Read(offset, absl::MakeSpan(data));
    return data;
  }

  FakePlatformControl control_;
  I8042 i8042_{control_};
};

TEST_F(I8042Test, PulseOfTheResetLineResets) {
  Write(kI8042CommandOffset, {kI8042CommandReset});
  EXPECT_EQ(control_.resets, 1);
  EXPECT_EQ(control_.poweroffs, 0);
}

TEST_F(I8042Test, OnlyPulsesWithLineZeroLowReset) {
  for (int command = 0; command < 256; ++command) {
    const int before = control_.resets;
    Write(kI8042CommandOffset, {static_cast<uint8_t>(command)});
    const bool expected = command >= kI8042CommandPulse && command % 2 == 0;
    EXPECT_EQ(control_.resets - before, expected ? 1 : 0) << command;
  }
}

TEST_F(I8042Test, DataPortIsNoCommandPort) {
  Write(kI8042DataOffset, {kI8042CommandReset});
  EXPECT_EQ(control_.resets, 0);
}

TEST_F(I8042Test, StatusLetsAResetProceedAndADriverGiveUp) {
  // Linux's kb_wait() before a reset waits for "input full" to go; its driver
  // reports "No controller found" if "output full" stays after 16 reads.
  for (int i = 0; i < 17; ++i) {
    EXPECT_EQ(Read(kI8042CommandOffset, 1),
              std::vector<uint8_t>{kI8042StatusOutputFull});
    Read(kI8042DataOffset, 1);
  }
}

TEST_F(I8042Test, EveryWidthAndAlignmentReachesTheCommandByteOnly) {
  for (size_t width : {1, 2, 4, 8}) {
    for (uint64_t offset = 0; offset < kI8042PortCount; ++offset) {
      const int before = control_.resets;
      Write(offset, std::vector<uint8_t>(width, kI8042CommandReset));
      const bool reached = offset + width > kI8042CommandOffset;
      EXPECT_EQ(control_.resets - before, reached ? 1 : 0);

      std::vector<uint8_t> expected(width, 0);
      if (reached) {
        expected[kI8042CommandOffset - offset] = kI8042StatusOutputFull;
      }
      EXPECT_EQ(Read(offset, width), expected);
    }
  }
}

}  // namespace
}  // namespace annulus::platform
