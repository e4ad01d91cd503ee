// Bad inputs 19: the areas of a packed ring; see the table in
// bad_inputs_test.cc.

#include <cstdint>

#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/packed_queue_fixture.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using BadInputPackedTest = PackedQueueFixture;

TEST_F(BadInputPackedTest, BadInputC19_MisalignedAreaIsRefused) {
  QueueConfig config = RawConfig(kSize, {});
  config.descriptor = memory::GuestAddress(kRawDescriptors + 8);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
  config = RawConfig(kSize, {});
  config.driver = memory::GuestAddress(kRawDriverArea + 2);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
  config = RawConfig(kSize, {});
  config.device = memory::GuestAddress(kRawDeviceArea + 2);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
}

TEST_F(BadInputPackedTest, BadInputC19_AreaThatIsNotWhollyInRamIsRefused) {
  for (const uint64_t address :
       {kRamBytes, uint64_t{0xd0000000}, UINT64_MAX - 15}) {
    QueueConfig config = RawConfig(kSize, {});
    config.descriptor = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.driver = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.device = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
  }
  QueueConfig config = RawConfig(kSize, {});
  config.descriptor = memory::GuestAddress(kRamBytes - 16 * (kSize - 1));
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
}

TEST_F(BadInputPackedTest, BadInputC19_DriverEventOfAnyValueIsTolerated) {
  struct Case {
    uint16_t desc;
    uint16_t flags;
    bool event_idx;
    bool notifies;
  };
  const Case cases[] = {
      {0, kRingEventFlagsEnable, true, true},
      {0, kRingEventFlagsDisable, true, false},
      {0, kRingEventFlagsDisable, false, false},
      {0x8000, kRingEventFlagsDesc, true, true},
      {0x8001, kRingEventFlagsDesc, true, false},         // The next one.
      {0x0000, kRingEventFlagsDesc, true, false},         // The next lap's.
      {0x8000 | kSize, kRingEventFlagsDesc, true, true},  // No descriptor.
      {0x7fff, kRingEventFlagsDesc, true, true},          // No descriptor.
      {0x8001, kRingEventFlagsDesc, false, true},         // Not negotiated.
      {0x8001, 3, true, true},                            // Reserved.
      {0, 0xfffc, true, true},                            // Reserved bits set.
      {0, 0xfffd, true, false},
  };
  for (const Case& c : cases) {
    FeatureSet features;
    if (c.event_idx) features.Add(kFeatureEventIdx);
    OfferOne(0, 0);
    PackedQueue queue = Make(features);
    ring_.DriverEvent(c.desc, c.flags);
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
    EXPECT_EQ(queue.Publish(), c.notifies)
        << c.desc << " " << c.flags << " " << c.event_idx;
    EXPECT_TRUE(queue.ok());
  }
}

}  // namespace
}  // namespace annulus::virtio
