#include "devices/virtio/transport/queue_registers.h"

#include <cstdint>
#include <optional>

#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr FeatureSet kSplit = FeatureSet::Of(kFeatureVersion1);
constexpr FeatureSet kPacked =
    FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked);

TEST(QueueRegistersTest, SizeIsTheMaximumUntilTheDriverChooses) {
  const QueueRegisters registers(256);
  EXPECT_EQ(registers.size(), 256);
  EXPECT_EQ(registers.Latch(kSplit)->size, 256);
}

TEST(QueueRegistersTest, SizeThatNoQueueCanHaveIsRecordedAsZero) {
  QueueRegisters registers(256);
  // 0x10001 and 0x100: a size is not what is left of it in 16 bits.
  for (const uint32_t size :
       {0u, 3u, 257u, 512u, 65535u, 65536u, 0x10001u, 0x10100u, 0xffffffffu}) {
    registers.set_size(16, kSplit);
    registers.set_size(size, kSplit);
    EXPECT_EQ(registers.size(), 0) << size;
    EXPECT_EQ(registers.Latch(kSplit), std::nullopt);
  }
  registers.set_size(16, kSplit);
  EXPECT_EQ(registers.size(), 16) << "the driver may correct itself";
}

TEST(QueueRegistersTest, OnlyPackedQueuesMayHaveASizeThatIsNoPowerOfTwo) {
  QueueRegisters registers(32768);
  registers.set_size(32767, kSplit);
  EXPECT_EQ(registers.size(), 0);
  registers.set_size(32767, kPacked);
  EXPECT_EQ(registers.size(), 32767);
}

TEST(QueueRegistersTest, HalvesOfAddressesAreIndependent) {
  QueueRegisters registers(256);
  constexpr QueueArea kAreas[] = {QueueArea::kDescriptor, QueueArea::kDriver,
                                  QueueArea::kDevice};
  uint32_t value = 0xfffffff0;
  for (const QueueArea area : kAreas) {
    registers.set_address(area, AddressHalf::kHigh, value++);
    registers.set_address(area, AddressHalf::kLow, value++);
  }
  const std::optional<QueueConfig> config = registers.Latch(kPacked);
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->descriptor.value(), 0xfffffff0fffffff1);
  EXPECT_EQ(config->driver.value(), 0xfffffff2fffffff3);
  EXPECT_EQ(config->device.value(), 0xfffffff4fffffff5);
  EXPECT_EQ(config->features, kPacked);
  registers.set_address(QueueArea::kDriver, AddressHalf::kLow, 0);
  EXPECT_EQ(registers.address(QueueArea::kDriver, AddressHalf::kHigh),
            0xfffffff2u);
  registers.Reset();
  EXPECT_EQ(registers.address(QueueArea::kDriver, AddressHalf::kHigh), 0u);
}

}  // namespace
}  // namespace annulus::virtio
