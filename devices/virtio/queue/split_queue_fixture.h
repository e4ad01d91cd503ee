#ifndef DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_FIXTURE_H_
#define DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_FIXTURE_H_

#include <cstdint>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// For tests: a split queue over rings that are written field by field.

namespace annulus::virtio {

class SplitQueueFixture : public testing::Test {
 protected:
  static constexpr uint16_t kSize = 8;
  static constexpr uint64_t kRamBytes = 0x40000;
  static constexpr uint64_t kTable = 0x9000;  // For indirect tables.
  static constexpr uint16_t kNext = kSplitDescNext;
  static constexpr uint16_t kWrite = kSplitDescWrite;
  static constexpr uint16_t kIndirect = kSplitDescIndirect;

  SplitQueue Make(FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc),
                  uint16_t size = kSize) {
    return SplitQueue::Create(memory_, RawConfig(size, features)).value();
  }

  // Makes `head` available as the `index`-th buffer.
  void Offer(uint16_t index, uint16_t head) {
    ring_.AvailableEntry(index % kSize, head);
    ring_.AvailableIndex(index + 1);
  }

  // What happens to a queue whose first buffer has head 0.
  Violation ViolationOfFirst(
      FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc)) {
    Offer(0, 0);
    SplitQueue queue = Make(features);
    EXPECT_FALSE(queue.Pop(chain_));
    EXPECT_FALSE(chain_.pending());
    EXPECT_FALSE(queue.Pop(chain_)) << "a failed queue pops nothing";
    EXPECT_EQ(queue.ok(), queue.status().ok());
    return queue.violation();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog dirty_{kRamBytes};
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions(), &dirty_).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{kSize};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_FIXTURE_H_
