#include "devices/pci/host_bridge.h"

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/pci/pci_function.h"
#include "gtest/gtest.h"

namespace annulus::pci {
namespace {

// Reads as its own offset; remembers the last write.
class EchoFunction final : public PciFunction {
 public:
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) override {
    EXPECT_EQ(offset % data.size(), 0u);
    EXPECT_LE(offset + data.size(), 4096u);
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = static_cast<uint8_t>(offset + i);
    }
  }
  void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) override {
    EXPECT_EQ(offset % data.size(), 0u);
    written_offset = offset;
    written.assign(data.begin(), data.end());
  }

  uint32_t written_offset = 0;
  std::vector<uint8_t> written;
};

std::vector<uint8_t> Read(BusDevice& bus, uint64_t offset, size_t width) {
  std::vector<uint8_t> data(width, 0x5a);
  bus.Read(offset, absl::MakeSpan(data));
  return data;
}

void Write32(BusDevice& bus, uint64_t offset, uint32_t value) {
  const uint8_t data[4] = {
      static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
      static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
  bus.Write(offset, data);
}

std::vector<uint8_t> Ones(size_t width) {
  return std::vector<uint8_t>(width, 0xff);
}

TEST(HostBridgeTest, BridgeItselfIsFunctionZero) {
  HostBridge bridge;
  EXPECT_EQ(Read(bridge.ecam(), 0, 4),
            (std::vector<uint8_t>{0x36, 0x1b, 8, 0}));
  EXPECT_EQ(Read(bridge.ecam(), 8, 4), (std::vector<uint8_t>{0, 0, 0, 6}));
  Write32(bridge.ecam(), 0, 0);
  EXPECT_EQ(Read(bridge.ecam(), 0, 2), (std::vector<uint8_t>{0x36, 0x1b}));
}

TEST(HostBridgeTest, AddFunctionRefusesNumbersOutOfRangeOrTaken) {
  HostBridge bridge;
  EchoFunction function;
  EXPECT_TRUE(absl::IsInvalidArgument(bridge.AddFunction(0, function)));
  EXPECT_TRUE(absl::IsInvalidArgument(bridge.AddFunction(32, function)));
  EXPECT_TRUE(bridge.AddFunction(31, function).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(bridge.AddFunction(31, function)));
}

TEST(HostBridgeTest, EcamCarriesAlignedAccessesOfOneTwoAndFourBytesOnly) {
  HostBridge bridge;
  EchoFunction function;
  ASSERT_TRUE(bridge.AddFunction(2, function).ok());
  for (size_t width = 1; width <= 8; ++width) {
    for (uint32_t reg = 0; reg < 4096; ++reg) {
      const uint64_t offset = (2 << 15) + reg;
      const bool carried =
          (width == 1 || width == 2 || width == 4) && reg % width == 0;
      const std::vector<uint8_t> data = Read(bridge.ecam(), offset, width);
      function.written.clear();
      bridge.ecam().Write(offset, data);
      if (carried) {
        EXPECT_EQ(data[0], static_cast<uint8_t>(reg));
        EXPECT_EQ(function.written, data);
        EXPECT_EQ(function.written_offset, reg);
      } else {
        EXPECT_EQ(data, Ones(width));
        EXPECT_TRUE(function.written.empty());
      }
    }
  }
}

TEST(HostBridgeTest, AbsentFunctionsReadAllOnes) {
  HostBridge bridge;
  EchoFunction function;
  ASSERT_TRUE(bridge.AddFunction(2, function).ok());
  for (uint64_t device = 0; device < 32; ++device) {
    for (uint64_t number = 0; number < 8; ++number) {
      if (number == 0 && (device == 0 || device == 2)) continue;
      const uint64_t offset = device << 15 | number << 12;
      EXPECT_EQ(Read(bridge.ecam(), offset, 4), Ones(4));
      Write32(bridge.ecam(), offset + 0x10, 1);
    }
  }
  EXPECT_TRUE(function.written.empty());
}

TEST(HostBridgeTest, PortsReachTheSameFunctions) {
  HostBridge bridge;
  EchoFunction function;
  ASSERT_TRUE(bridge.AddFunction(2, function).ok());
  Write32(bridge.ports(), 0, 0x80000000 | 2 << 11 | 0x54);
  EXPECT_EQ(Read(bridge.ports(), 0, 4),
            (std::vector<uint8_t>{0x54, 0x10, 0, 0x80}));
  EXPECT_EQ(Read(bridge.ports(), 4, 4),
            (std::vector<uint8_t>{0x54, 0x55, 0x56, 0x57}));
  EXPECT_EQ(Read(bridge.ports(), 6, 2), (std::vector<uint8_t>{0x56, 0x57}));
  EXPECT_EQ(Read(bridge.ports(), 7, 1), (std::vector<uint8_t>{0x57}));
  bridge.ports().Write(6, {1, 2});
  EXPECT_EQ(function.written_offset, 0x56u);
  EXPECT_EQ(function.written, (std::vector<uint8_t>{1, 2}));
}

TEST(HostBridgeTest, PortsSurviveEveryAddressWidthAndAlignment) {
  HostBridge bridge;
  EchoFunction function;
  ASSERT_TRUE(bridge.AddFunction(31, function).ok());
  for (const uint32_t address :
       {0u, 0x7fffffffu, 0x80000000u, 0x8000f8fcu, 0x8000ff00u, 0x8001f800u,
        0x80fff8fcu, 0xffffffffu}) {
    for (size_t width = 1; width <= 8; ++width) {
      for (uint64_t offset = 0; offset + width <= HostBridge::kPortCount;
           ++offset) {
        Write32(bridge.ports(), 0, address);
        function.written.clear();
        const std::vector<uint8_t> data = Read(bridge.ports(), offset, width);
        bridge.ports().Write(offset, std::vector<uint8_t>(width, 0));
        const bool reaches_function = address == 0x8000f8fc && offset >= 4 &&
                                      width != 3 && width <= 4 &&
                                      offset % width == 0;
        EXPECT_EQ(!function.written.empty(), reaches_function)
            << address << " " << offset << " " << width;
        const bool reads_bridge = address == 0x80000000;
        const bool reads_address = offset == 0 && width == 4;
        if (!reaches_function && !reads_bridge && !reads_address) {
          EXPECT_EQ(data, Ones(width));
        }
      }
    }
  }
}

TEST(HostBridgeTest, AddressRegisterTakesFourByteWritesOnly) {
  HostBridge bridge;
  Write32(bridge.ports(), 0, 0x80000008);
  // Linux writes the byte at 0xcfb, and a reset goes to 0xcf9.
  bridge.ports().Write(3, {1});
  bridge.ports().Write(1, {6});
  bridge.ports().Write(0, {0, 0});
  EXPECT_EQ(Read(bridge.ports(), 0, 4), (std::vector<uint8_t>{8, 0, 0, 0x80}));
  Write32(bridge.ports(), 0, 0xffffffff);
  EXPECT_EQ(Read(bridge.ports(), 0, 4),
            (std::vector<uint8_t>{0xfc, 0xff, 0xff, 0x80}))
      << "reserved bits are hardwired to 0";
}

}  // namespace
}  // namespace annulus::pci
