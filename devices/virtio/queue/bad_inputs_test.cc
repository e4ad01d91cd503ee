// What a device's rings must survive, by the numbers of the project's list of
// bad inputs (its parts B, C and D), each with how it broke real systems there.
// Tests are named by item. Here are those that are the same for both formats;
// bad_inputs_split_test.cc and bad_inputs_packed*_test.cc have the rest.
//
//   11 available index jumps            BadInputB11 (split)
//   12 head or next beyond the size     BadInputB12 (split)
//   13 circular chain                   BadInputB13 (split)
//   14 torn index                       BadInputB14 (here)
//   15 buffer id out of range, twice    BadInputC15 (packed)
//   16 indirect with next, nested, ...  BadInputC16 (split, packed)
//   17 chain longer than the ring, ...  BadInputC17 (packed)
//   18 wrap bits                        BadInputC18 (packed)
//   19 driver event area                BadInputC19 (packed)
//   20 total length, empty element      BadInputC20 (split, packed)
//   21 address and length               BadInputD21 (split, packed)
//   22 readable after writable          BadInputD22 (split, packed);
//      all writable, all readable       BadInputD22 (here)
//   23 changed after validation         BadInputD23 (split, packed), and
//                                       hostile_memory_test.cc
//   24 too many in flight               BadInputB11D24 (split), BadInputC15D24
//                                       (packed), BadInputD24 (here)
//   25 fetch error, stale elements      BadInputD25 (here)
//   26 used length beyond what fits     BadInputD26 (split, packed, here)
//   27 error path loses an element      BadInputD27 (split, here)
//
// What a device does with the bytes of a buffer (22 for transmit and receive,
// 24 for what it queues itself, 26 for lengths that it computes) is tested with
// that device: rng_device_test.cc for the only one that there is.

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/thread.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 8;
constexpr uint64_t kRamBytes = 0x40000;

struct RawElement {
  uint64_t addr;
  uint32_t len;
  bool writable;
};

// Over the format: true is packed.
class BadInputTest : public testing::TestWithParam<bool> {
 protected:
  static bool Packed() { return GetParam(); }

  Virtqueue Make() {
    FeatureSet features;
    if (Packed()) features.Add(kFeatureRingPacked);
    return Virtqueue::Create(memory_, RawConfig(kSize, features)).value();
  }

  // Makes a chain of these available, with consecutive descriptors from
  // `next_descriptor_` on; in a packed ring in the first lap only.
  void Offer(const std::vector<RawElement>& elements) {
    const uint16_t head = next_descriptor_;
    for (size_t i = 0; i < elements.size(); ++i) {
      const RawElement& e = elements[i];
      const bool last = i + 1 == elements.size();
      const uint16_t at = next_descriptor_++;
      if (Packed()) {
        ring_.Packed(at, {.addr = e.addr,
                          .len = e.len,
                          .id = head,
                          .flags = static_cast<uint16_t>(
                              kPackedDescAvail | (last ? 0 : kPackedDescNext) |
                              (e.writable ? kPackedDescWrite : 0))});
      } else {
        ring_.Split(
            at,
            {.addr = e.addr,
             .len = e.len,
             .flags = static_cast<uint16_t>((last ? 0 : kSplitDescNext) |
                                            (e.writable ? kSplitDescWrite : 0)),
             .next = static_cast<uint16_t>(at + 1)});
      }
    }
    if (!Packed()) {
      ring_.AvailableEntry(offered_ % kSize, head);
      ring_.AvailableIndex(++offered_);
    }
  }

  // Of the `index`-th used element of one descriptor each.
  uint32_t UsedLength(uint16_t index) {
    return Packed() ? ring_.PackedAt(index).len : ring_.UsedEntry(index).len;
  }
  bool IsUsed(uint16_t index) {
    if (!Packed()) return ring_.UsedIndex() > index;
    const uint16_t flags = ring_.PackedAt(index).flags;
    return (flags & kPackedDescAvail) != 0 && (flags & kPackedDescUsed) != 0;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{kSize};
  uint16_t next_descriptor_ = 0;
  uint16_t offered_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Rings, BadInputTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return std::string(info.param ? "Packed" : "Split");
                         });

TEST_P(BadInputTest, BadInputD22_ChainsOfOneKindHaveNothingOfTheOther) {
  Offer({{.addr = kRawBuffers, .len = 5, .writable = false},
         {.addr = kRawBuffers, .len = 6, .writable = false}});
  Offer({{.addr = kRawBuffers, .len = 7, .writable = true}});
  Virtqueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable().size(), 2u);
  EXPECT_TRUE(chain_.writable().empty());
  EXPECT_EQ(chain_.writable_bytes(), 0u);
  queue.Push(chain_, 100);
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_TRUE(chain_.readable().empty());
  EXPECT_EQ(chain_.readable_bytes(), 0u);
  EXPECT_EQ(chain_.writable().size(), 1u);
}

TEST_P(BadInputTest, BadInputD24_NoMoreChainsThanDescriptorsAreInFlight) {
  for (uint16_t i = 0; i < kSize; ++i) {
    Offer({{.addr = kRawBuffers, .len = 8, .writable = true}});
  }
  Virtqueue queue = Make();
  std::vector<DescriptorChain> chains;
  for (uint16_t i = 0; i < kSize; ++i) {
    chains.emplace_back(kSize);
    ASSERT_TRUE(queue.Pop(chains.back()));
  }
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_TRUE(queue.ok()) << "that was only empty";
  // The driver makes one available again that it has not got back.
  if (Packed()) {
    ring_.Packed(0, {.addr = kRawBuffers, .len = 8, .flags = kPackedDescUsed});
  } else {
    ring_.AvailableIndex(kSize + 1);
  }
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_FALSE(queue.ok());
}

TEST_P(BadInputTest, BadInputD25_ChainOfAFailedPopIsEmpty) {
  Offer({{.addr = kRawBuffers, .len = 8, .writable = false},
         {.addr = kRawBuffers, .len = 8, .writable = true}});
  Offer({{.addr = kRawBuffers, .len = 8, .writable = false},
         {.addr = kRawBuffers, .len = 8, .writable = true},
         {.addr = UINT64_MAX, .len = 8, .writable = true}});
  Virtqueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  for (int again = 0; again < 2; ++again) {
    EXPECT_FALSE(queue.Pop(chain_));
    EXPECT_FALSE(queue.ok());
    EXPECT_FALSE(chain_.pending());
    EXPECT_TRUE(chain_.readable().empty());
    EXPECT_TRUE(chain_.writable().empty());
    EXPECT_EQ(chain_.readable_bytes(), 0u);
    EXPECT_EQ(chain_.writable_bytes(), 0u);
  }
}

TEST_P(BadInputTest, BadInputD26_UsedLengthIsCutForEachChainByItself) {
  Offer({{.addr = kRawBuffers, .len = 64, .writable = false}});
  Offer({{.addr = kRawBuffers, .len = 5, .writable = true}});
  Offer({{.addr = kRawBuffers, .len = 0, .writable = true}});
  Virtqueue queue = Make();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, i == 1 ? 6 : 0xffffffff);
  }
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(UsedLength(0), 0u) << "nothing was writable";
  EXPECT_EQ(UsedLength(1), 5u);
  EXPECT_EQ(UsedLength(2), 0u);
}

TEST_P(BadInputTest, BadInputD27_ChainsBeforeAViolationAreGivenBackOnce) {
  Offer({{.addr = kRawBuffers, .len = 1, .writable = true}});
  Offer({{.addr = kRawBuffers, .len = 2, .writable = true}});
  Offer({{.addr = UINT64_MAX, .len = 3, .writable = true}});
  Virtqueue queue = Make();
  DescriptorChain first(kSize);
  DescriptorChain second(kSize);
  ASSERT_TRUE(queue.Pop(first));
  ASSERT_TRUE(queue.Pop(second));
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_FALSE(queue.ok());
  queue.Push(first, 1);
  queue.Push(second, 2);
  EXPECT_FALSE(IsUsed(0));
  EXPECT_TRUE(queue.Publish());
  EXPECT_TRUE(IsUsed(0));
  EXPECT_TRUE(IsUsed(1));
  EXPECT_FALSE(IsUsed(2)) << "the bad one was never the device's";
  EXPECT_EQ(UsedLength(0), 1u);
  EXPECT_EQ(UsedLength(1), 2u);
  EXPECT_FALSE(queue.Publish()) << "nothing is left";
}

// Split rings have the indices of 16 bits. An index that is read or written in
// halves while it goes from 0x..ff to 0x..00 is far off, which fails the queue
// or the driver that waits here.
TEST(BadInputSplitThreadsTest, BadInputB14_IndicesAreNeverTorn) {
  constexpr uint16_t kQueueSize = 256;
  constexpr uint32_t kBuffers = 200000;
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kRamBytes}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  const RawRing ring(memory);
  ring.Split(0, {.addr = kRawBuffers, .len = 4});
  const QueueConfig config = RawConfig(kQueueSize, {});
  Virtqueue queue = Virtqueue::Create(memory, config).value();
  const memory::GuestSpan available =
      memory.Map(config.driver, SplitAvailableRingBytes(kQueueSize)).value();
  const memory::GuestSpan used =
      memory.Map(config.device, SplitUsedRingBytes(kQueueSize)).value();

  std::atomic<bool> stop{false};
  std::atomic<uint32_t> torn{0};
  Thread driver =
      Thread::Start("driver", [&] {
        // All heads are 0. At most half of the ring is available.
        uint32_t made = 0;
        uint32_t seen = 0;
        while (seen < kBuffers && !stop.load(std::memory_order_relaxed)) {
          const uint16_t idx =
              used.Load<uint16_t>(2, std::memory_order_acquire);
          const uint16_t more =
              static_cast<uint16_t>(idx - static_cast<uint16_t>(seen));
          if (more > made - seen) {
            torn.fetch_add(1, std::memory_order_relaxed);
            return;
          }
          seen += more;
          if (made - seen < kQueueSize / 2 && made < kBuffers) {
            available.Store<uint16_t>(2, static_cast<uint16_t>(++made),
                                      std::memory_order_release);
          }
        }
      }).value();
  DescriptorChain chain(1);
  uint32_t popped = 0;
  while (popped < kBuffers && queue.ok() &&
         torn.load(std::memory_order_relaxed) == 0) {
    while (queue.Pop(chain)) {
      queue.Push(chain, 0);
      ++popped;
      if (popped % 3 == 0) (void)queue.Publish();
    }
    (void)queue.Publish();
  }
  stop.store(popped != kBuffers, std::memory_order_relaxed);
  driver.Join();
  EXPECT_TRUE(queue.ok()) << queue.status();
  EXPECT_EQ(popped, kBuffers);
  EXPECT_EQ(torn.load(), 0u);
}

}  // namespace
}  // namespace annulus::virtio
