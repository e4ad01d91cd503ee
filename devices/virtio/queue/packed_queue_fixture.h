#ifndef DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_FIXTURE_H_
#define DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_FIXTURE_H_

#include <cstdint>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// For tests: a packed queue over rings that are written field by field.

namespace annulus::virtio {

class PackedQueueFixture : public testing::Test {
 protected:
  static constexpr uint16_t kSize = 5;  // Odd on purpose.
  static constexpr uint64_t kRamBytes = 0x100000;
  static constexpr uint64_t kTable = 0x9000;  // For indirect tables.
  static constexpr uint16_t kAvail = kPackedDescAvail;
  static constexpr uint16_t kUsed = kPackedDescUsed;
  static constexpr uint16_t kNext = kPackedDescNext;
  static constexpr uint16_t kWrite = kPackedDescWrite;
  static constexpr uint16_t kIndirect = kPackedDescIndirect;

  PackedQueue Make(FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc),
                   uint16_t size = kSize) {
    features.Add(kFeatureRingPacked);
    return PackedQueue::Create(memory_, RawConfig(size, features)).value();
  }

  // What happens to a queue with the descriptors as they are in the ring.
  Violation ViolationOfFirst(
      FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc)) {
    PackedQueue queue = Make(features);
    EXPECT_FALSE(queue.Pop(chain_));
    EXPECT_FALSE(chain_.pending());
    EXPECT_FALSE(queue.Pop(chain_)) << "a failed queue pops nothing";
    EXPECT_EQ(queue.ok(), queue.status().ok());
    return queue.violation();
  }

  // A legal buffer of one element at `slot` in the lap of wrap counter 1.
  void OfferOne(uint32_t slot, uint16_t id) {
    ring_.Packed(
        slot,
        {.addr = kRawBuffers, .len = 8, .id = id, .flags = kAvail | kWrite});
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog dirty_{kRamBytes};
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions(), &dirty_).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{256};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_FIXTURE_H_
