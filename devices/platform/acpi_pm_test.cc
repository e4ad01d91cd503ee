#include "devices/platform/acpi_pm.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "devices/platform/acpi_pm_registers.h"
#include "devices/platform/platform_control_fake.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

constexpr uint8_t kEnterS5 = kAcpiSleepEnable | kAcpiSleepTypeS5
                                                    << kAcpiSleepTypeShift;

class AcpiPmTest : public testing::Test {
 protected:
  void Write(uint64_t offset, std::vector<uint8_t> data) {
    pm_.Write(offset, data);
  }
  std::vector<uint8_t> Read(uint64_t offset, size_t width) {
    std::vector<uint8_t> data(width, 0xaa);
    pm_.Read(offset, absl::MakeSpan(data));
    return data;
  }

  FakePlatformControl control_;
  AcpiPm pm_{control_};
};

TEST_F(AcpiPmTest, SleepEnableWithS5TypePowersOff) {
  Write(kAcpiSleepControlOffset, {kEnterS5});
  EXPECT_EQ(control_.poweroffs, 1);
  EXPECT_EQ(control_.resets, 0);
}

TEST_F(AcpiPmTest, SleepTypeWithoutSleepEnableOnlyStores) {
  Write(kAcpiSleepControlOffset,
        {kAcpiSleepTypeS5 << kAcpiSleepTypeShift | 0x83});
  EXPECT_EQ(control_.poweroffs, 0);
  EXPECT_EQ(Read(kAcpiSleepControlOffset, 1),
            std::vector<uint8_t>{kAcpiSleepTypeS5 << kAcpiSleepTypeShift});
}

TEST_F(AcpiPmTest, SleepEnableReadsAsZero) {
  Write(kAcpiSleepControlOffset, {kEnterS5});
  EXPECT_EQ(Read(kAcpiSleepControlOffset, 1)[0] & kAcpiSleepEnable, 0);
}

TEST_F(AcpiPmTest, EveryOtherSleepTypeDoesNothing) {
  for (int type = 0; type < 8; ++type) {
    if (type == kAcpiSleepTypeS5) continue;
    Write(
        kAcpiSleepControlOffset,
        {static_cast<uint8_t>(kAcpiSleepEnable | type << kAcpiSleepTypeShift)});
  }
  EXPECT_EQ(control_.poweroffs, 0);
}

TEST_F(AcpiPmTest, OnlyTheResetValueResets) {
  for (int value = 0; value < 256; ++value) {
    if (value != kAcpiResetValue) {
      Write(kAcpiResetOffset, {static_cast<uint8_t>(value)});
    }
  }
  EXPECT_EQ(control_.resets, 0);
  Write(kAcpiResetOffset, {kAcpiResetValue});
  EXPECT_EQ(control_.resets, 1);
}

TEST_F(AcpiPmTest, SleepStatusReadsZeroAndIgnoresWrites) {
  Write(kAcpiSleepStatusOffset, {0xff});
  EXPECT_EQ(Read(kAcpiSleepStatusOffset, 1), std::vector<uint8_t>{0});
  EXPECT_EQ(control_.poweroffs + control_.resets, 0);
}

TEST_F(AcpiPmTest, WideWriteReachesEachByte) {
  Write(kAcpiSleepControlOffset, {kEnterS5, 0, kAcpiResetValue});
  EXPECT_EQ(control_.poweroffs, 1);
  EXPECT_EQ(control_.resets, 1);
}

TEST_F(AcpiPmTest, EveryWidthAndAlignmentFillsAllBytes) {
  for (size_t width : {1, 2, 4, 8}) {
    for (uint64_t offset = 0; offset < 4; ++offset) {
      Write(offset, std::vector<uint8_t>(width, 0));
      EXPECT_EQ(Read(offset, width), std::vector<uint8_t>(width, 0));
    }
  }
}

}  // namespace
}  // namespace annulus::platform
