#include "vmm/bus/address_bus.h"

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

class RecordingDevice final : public BusDevice {
 public:
  void Read(uint64_t offset, absl::Span<uint8_t> data) override {
    offsets.push_back(offset);
    for (uint8_t& byte : data) byte = 0x5a;
  }
  void Write(uint64_t offset, absl::Span<const uint8_t>) override {
    offsets.push_back(offset);
  }

  std::vector<uint64_t> offsets;
};

uint8_t ReadByte(AddressBus& bus, uint64_t address) {
  uint8_t byte = 0;
  bus.Read(address, absl::MakeSpan(&byte, 1));
  return byte;
}

TEST(AddressBusTest, DeviceGetsTheOffsetInItsRange) {
  AddressBus bus;
  RecordingDevice device;
  ASSERT_TRUE(bus.Add(0x1000, 0x100, device).ok());
  EXPECT_EQ(ReadByte(bus, 0x1000), 0x5a);
  EXPECT_EQ(ReadByte(bus, 0x10ff), 0x5a);
  EXPECT_EQ(device.offsets, (std::vector<uint64_t>{0, 0xff}));
}

TEST(AddressBusTest, AccessOutsideEveryRangeReadsAllOnes) {
  AddressBus bus;
  RecordingDevice device;
  ASSERT_TRUE(bus.Add(0x1000, 0x100, device).ok());
  EXPECT_EQ(ReadByte(bus, 0xfff), 0xff);
  EXPECT_EQ(ReadByte(bus, 0x1100), 0xff);
  EXPECT_EQ(ReadByte(bus, UINT64_MAX), 0xff);
  EXPECT_TRUE(device.offsets.empty());
}

TEST(AddressBusTest, AccessAcrossTheEndOfARangeReachesNoDevice) {
  AddressBus bus;
  RecordingDevice device;
  ASSERT_TRUE(bus.Add(0x1000, 0x100, device).ok());
  const std::vector<uint8_t> data(8);
  bus.Write(0x10fc, data);
  bus.Write(0xffc, data);
  EXPECT_TRUE(device.offsets.empty());
}

TEST(AddressBusTest, OverlapsAndWrapsAreRefused) {
  AddressBus bus;
  RecordingDevice device;
  ASSERT_TRUE(bus.Add(0x1000, 0x100, device).ok());
  EXPECT_EQ(bus.Add(0x10ff, 1, device).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(bus.Add(0xf01, 0x100, device).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(bus.Add(0, 0x10000, device).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(bus.Add(0x2000, 0, device).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(bus.Add(UINT64_MAX, 2, device).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(bus.Add(0xf00, 0x100, device).ok());
  EXPECT_TRUE(bus.Add(UINT64_MAX, 1, device).ok());
}

TEST(AddressBusTest, DeviceMayRemoveItselfFromWithinAnAccess) {
  class SelfRemoving final : public BusDevice {
   public:
    explicit SelfRemoving(AddressBus& bus) : bus_(bus) {}
    void Read(uint64_t, absl::Span<uint8_t>) override { bus_.Remove(0x10); }
    void Write(uint64_t, absl::Span<const uint8_t>) override {}

   private:
    AddressBus& bus_;
  };
  AddressBus bus;
  SelfRemoving device(bus);
  ASSERT_TRUE(bus.Add(0x10, 1, device).ok());
  EXPECT_EQ(ReadByte(bus, 0x10), 0);
  EXPECT_EQ(ReadByte(bus, 0x10), 0xff);
}

}  // namespace
}  // namespace annulus
