#include "devices/pci/bar_mapping.h"

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/pci/fake_machine.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::pci {
namespace {

using memory::GuestAddress;

class NullDevice final : public BusDevice {
 public:
  void Read(uint64_t, absl::Span<uint8_t>) override {}
  void Write(uint64_t, absl::Span<const uint8_t>) override {}
};

TEST(BarMappingTest, FollowsTheGuestAndLeavesTheOldPlace) {
  FakeBarMapper mapper;
  NullDevice device;
  {
    BarMapping mapping(mapper, device, 0x1000);
    mapping.Move(GuestAddress(0xe0000000));
    EXPECT_EQ(mapper.device(), &device);
    mapping.Move(GuestAddress(0xe0001000));
    EXPECT_EQ(mapper.address(), 0xe0001000u);
    EXPECT_EQ(mapping.address(), GuestAddress(0xe0001000));
    mapping.Move(std::nullopt);
    EXPECT_EQ(mapper.device(), nullptr);
    mapping.Move(GuestAddress(0xe0000000));
  }
  EXPECT_EQ(mapper.device(), nullptr);
  EXPECT_EQ(mapper.bad_unmaps(), 0);
}

TEST(BarMappingTest, SamePlaceAgainDoesNothing) {
  FakeBarMapper mapper;
  NullDevice device;
  BarMapping mapping(mapper, device, 0x1000);
  for (int i = 0; i < 3; ++i) mapping.Move(GuestAddress(0xe0000000));
  EXPECT_EQ(mapper.attempts(), 1);
}

TEST(BarMappingTest, RefusedPlaceLeavesTheBarUnmapped) {
  FakeBarMapper mapper;
  NullDevice device;
  BarMapping mapping(mapper, device, 0x1000);
  mapping.Move(GuestAddress(0xe0000000));
  mapping.Move(GuestAddress(0x1000));  // On RAM, say.
  EXPECT_EQ(mapping.address(), std::nullopt);
  EXPECT_EQ(mapper.device(), nullptr);
  mapping.Move(GuestAddress(0xe0000000));
  EXPECT_EQ(mapping.address(), GuestAddress(0xe0000000));
}

TEST(BarMappingTest, PlaceThatWrapsTheAddressSpaceIsNotAsked) {
  FakeBarMapper mapper;
  NullDevice device;
  BarMapping mapping(mapper, device, 0x10000);
  mapping.Move(GuestAddress(0xffffffffffff0000));
  EXPECT_EQ(mapping.address(), std::nullopt);
  EXPECT_EQ(mapper.attempts(), 0);
}

}  // namespace
}  // namespace annulus::pci
