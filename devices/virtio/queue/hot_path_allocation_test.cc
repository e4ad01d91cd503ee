// Pop, Take, Push, Expose, Publish and the switching of notifications allocate
// nothing.

#include <cstdint>
#include <tuple>
#include <vector>

#include "base/counting_allocator.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

class HotPathAllocationTest
    : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  static constexpr uint16_t kSize = 16;

  template <typename Driver>
  void Run(Driver& driver) {
    const bool indirect = std::get<1>(GetParam());
    FeatureSet features = FeatureSet::Of(kFeatureEventIdx);
    if (std::get<0>(GetParam())) features.Add(kFeatureRingPacked);
    if (indirect) features.Add(kFeatureIndirectDesc);
    Virtqueue queue =
        Virtqueue::Create(memory_, RawConfig(kSize, features)).value();
    DescriptorChain chain(kSize);
    ChainBatch batch(3, kSize);
    const DriverElement readable[] = {{kRawBuffers, 8}, {kRawBuffers, 8}};
    const DriverElement writable[] = {{kRawBuffers, 8}};
    int served = 0;
    const int before = AllocationCount();
    for (int i = 0; i < 1000; ++i) {
      (void)queue.EnableNotifications();
      for (int j = 0; j < 5; ++j) driver.Add(readable, 2, writable, 1);
      (void)driver.NeedsNotification();
      queue.DisableNotifications();
      if (i % 2 == 0) {
        while (queue.Pop(chain)) {
          queue.Push(chain, 8);
          ++served;
        }
      } else {
        while (queue.Take(batch) != 0) {
          for (DescriptorChain& taken : batch.chains()) {
            queue.Push(taken, 8);
            ++served;
          }
          queue.Expose();
        }
      }
      (void)queue.Publish();
      uint16_t id;
      uint32_t len;
      while (driver.GetUsed(&id, &len)) {
      }
    }
    EXPECT_EQ(AllocationCount(), before);
    EXPECT_EQ(served, 5000);
  }

  uint8_t* Host(uint64_t addr) { return ram_.Regions()[0].host + addr; }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  std::vector<DriverSlot> slots_;
};

TEST_P(HotPathAllocationTest, NothingIsAllocatedPerBuffer) {
  const bool indirect = std::get<1>(GetParam());
  const uint64_t tables = 0x20000;
  slots_.resize(kSize);
  if (std::get<0>(GetParam())) {
    PackedDriver driver(
        {.ring = reinterpret_cast<PackedDescriptor*>(Host(kRawDescriptors)),
         .driver_event =
             reinterpret_cast<PackedEventSuppression*>(Host(kRawDriverArea)),
         .device_event =
             reinterpret_cast<PackedEventSuppression*>(Host(kRawDeviceArea)),
         .size = kSize,
         .event_idx = true,
         .slots = slots_.data(),
         .indirect_tables =
             indirect ? reinterpret_cast<PackedDescriptor*>(Host(tables))
                      : nullptr,
         .indirect_tables_addr = tables,
         .indirect_entries = 4});
    Run(driver);
  } else {
    SplitDriver driver(
        {.descriptors =
             reinterpret_cast<SplitDescriptor*>(Host(kRawDescriptors)),
         .available =
             reinterpret_cast<SplitAvailableHeader*>(Host(kRawDriverArea)),
         .used = reinterpret_cast<SplitUsedHeader*>(Host(kRawDeviceArea)),
         .size = kSize,
         .event_idx = true,
         .slots = slots_.data(),
         .indirect_tables =
             indirect ? reinterpret_cast<SplitDescriptor*>(Host(tables))
                      : nullptr,
         .indirect_tables_addr = tables,
         .indirect_entries = 4});
    Run(driver);
  }
}

INSTANTIATE_TEST_SUITE_P(Rings, HotPathAllocationTest,
                         testing::Combine(testing::Bool(), testing::Bool()));

}  // namespace
}  // namespace annulus::virtio
