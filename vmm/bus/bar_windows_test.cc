#include "vmm/bus/bar_windows.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "vmm/bus/address_bus.h"

namespace annulus {
namespace {

using memory::GuestAddress;

class NullDevice final : public BusDevice {
 public:
  void Read(uint64_t, absl::Span<uint8_t>) override {}
  void Write(uint64_t, absl::Span<const uint8_t>) override {}
};

class BarWindowsTest : public testing::Test {
 protected:
  AddressBus bus_;
  NullDevice device_;
  BarWindows windows_{bus_,
                      {{.start = GuestAddress(0x1000), .size = 0x1000},
                       {.start = GuestAddress(0x8000), .size = 0x2000}}};
};

TEST_F(BarWindowsTest, BarInsideAWindowIsMappedUntilItIsUnmapped) {
  ASSERT_TRUE(windows_.Map(GuestAddress(0x9000), 0x1000, device_).ok());
  EXPECT_FALSE(bus_.Add(0x9fff, 1, device_).ok());
  windows_.Unmap(GuestAddress(0x9000), 0x1000);
  EXPECT_TRUE(bus_.Add(0x9fff, 1, device_).ok());
}

TEST_F(BarWindowsTest, BarOutsideTheWindowsIsRefused) {
  for (const uint64_t address :
       {uint64_t{0}, uint64_t{0xfff}, uint64_t{0x1001}, uint64_t{0x7000},
        uint64_t{0x9001}, UINT64_MAX - 0xfff}) {
    EXPECT_EQ(windows_.Map(GuestAddress(address), 0x1000, device_).code(),
              absl::StatusCode::kAlreadyExists)
        << address;
  }
}

TEST_F(BarWindowsTest, BarOnAnotherOneIsRefused) {
  ASSERT_TRUE(windows_.Map(GuestAddress(0x8000), 0x1000, device_).ok());
  EXPECT_FALSE(windows_.Map(GuestAddress(0x8800), 0x1000, device_).ok());
}

}  // namespace
}  // namespace annulus
