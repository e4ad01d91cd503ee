#include "devices/platform/debug_exit.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "devices/platform/platform_control_fake.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

constexpr uint8_t kBytes[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};

TEST(DebugExitTest, WriteOfEachWidthExitsWithItsLowThirtyTwoBits) {
  FakePlatformControl control;
  DebugExit device(control);
  for (size_t width : {1, 2, 4, 8}) {
    device.Write(0, absl::MakeConstSpan(kBytes, width));
  }
  EXPECT_EQ(control.debug_exits,
            (std::vector<uint32_t>{0x11, 0x2211, 0x44332211, 0x44332211}));
}

TEST(DebugExitTest, WriteElsewhereIsIgnored) {
  FakePlatformControl control;
  DebugExit device(control);
  for (uint64_t offset = 1; offset < kDebugExitPortCount; ++offset) {
    for (size_t width : {1, 2, 4, 8}) {
      device.Write(offset, absl::MakeConstSpan(kBytes, width));
    }
  }
  EXPECT_TRUE(control.debug_exits.empty());
}

TEST(DebugExitTest, ReadOfEachWidthAndAlignmentGivesZeros) {
  FakePlatformControl control;
  DebugExit device(control);
  for (uint64_t offset = 0; offset < kDebugExitPortCount; ++offset) {
    for (size_t width : {1, 2, 4, 8}) {
      std::vector<uint8_t> data(width, 0xaa);
      device.Read(offset, absl::MakeSpan(data));
      EXPECT_EQ(data, std::vector<uint8_t>(width, 0));
    }
  }
}

}  // namespace
}  // namespace annulus::platform
