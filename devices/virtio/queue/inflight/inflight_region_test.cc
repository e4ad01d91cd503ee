// The bytes that queues leave, as the vhost-user protocol has them ("Inflight
// I/O tracking"): another back-end is to find its way in them.

#include "devices/virtio/queue/inflight/inflight_region.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

class InflightRegionTest : public testing::Test {
 protected:
  static constexpr uint16_t kSize = 4;

  template <typename T>
  T At(size_t offset) {
    return region_.Load<T>(offset, std::memory_order_relaxed);
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  alignas(8) uint8_t bytes_[1024] = {};
  memory::GuestSpan region_{bytes_, sizeof(bytes_)};
};

TEST_F(InflightRegionTest, RegionsAreMultiplesOf64Bytes) {
  EXPECT_EQ(InflightRegionBytes(false, 1), 64u);
  EXPECT_EQ(InflightRegionBytes(false, 3), 64u);
  EXPECT_EQ(InflightRegionBytes(false, 256), 16u + 256 * 16 + 48);
  EXPECT_EQ(InflightRegionBytes(true, 1), 64u);
  EXPECT_EQ(InflightRegionBytes(true, 256), 32u + 256 * 32 + 32);
  EXPECT_EQ(InflightRegionBytes(true, 32768), 32u + 32768 * 32 + 32);
}

TEST_F(InflightRegionTest, SplitQueueLeavesWhatTheProtocolSays) {
  FakeDriver driver(memory_,
                    {.packed = false, .indirect = false, .size = kSize});
  Virtqueue queue = Virtqueue::Create(memory_, driver.config()).value();
  InflightNotes notes;
  ASSERT_TRUE(queue.NoteInflight(region_, notes).ok());
  EXPECT_EQ(At<uint64_t>(0), 0u) << "features";
  EXPECT_EQ(At<uint16_t>(8), 1) << "version";
  EXPECT_EQ(At<uint16_t>(10), kSize) << "desc_num";

  DescriptorChain chains[] = {DescriptorChain(kSize), DescriptorChain(kSize),
                              DescriptorChain(kSize)};
  for (DescriptorChain& chain : chains) {
    ASSERT_TRUE(driver.Chain().Writable(9).Offer());
    ASSERT_TRUE(queue.Pop(chain));
  }
  for (uint64_t i = 0; i < 3; ++i) {
    const size_t entry = 16 + size_t{16} * chains[i].id();
    EXPECT_EQ(At<uint8_t>(entry), 1) << "inflight";
    EXPECT_EQ(At<uint64_t>(entry + 8), i) << "counter";
  }
  queue.Push(chains[0], 9);
  queue.Push(chains[1], 9);
  (void)queue.Publish();
  EXPECT_EQ(At<uint16_t>(12), chains[1].id()) << "last_batch_head";
  EXPECT_EQ(At<uint16_t>(14), 2) << "used_idx";
  EXPECT_EQ(At<uint16_t>(16 + size_t{16} * chains[1].id() + 6), chains[0].id())
      << "next";
  EXPECT_EQ(At<uint8_t>(16 + size_t{16} * chains[0].id()), 0);
  EXPECT_EQ(At<uint8_t>(16 + size_t{16} * chains[1].id()), 0);
  EXPECT_EQ(At<uint8_t>(16 + size_t{16} * chains[2].id()), 1);
}

TEST_F(InflightRegionTest, PackedQueueLeavesWhatTheProtocolSays) {
  FakeDriver driver(memory_,
                    {.packed = true, .indirect = false, .size = kSize});
  Virtqueue queue = Virtqueue::Create(memory_, driver.config()).value();
  InflightNotes notes;
  ASSERT_TRUE(queue.NoteInflight(region_, notes).ok());
  EXPECT_EQ(At<uint64_t>(0), 0u) << "features";
  EXPECT_EQ(At<uint16_t>(8), 1) << "version";
  EXPECT_EQ(At<uint16_t>(10), kSize) << "desc_num";
  EXPECT_EQ(At<uint16_t>(12), 0) << "free_head";
  EXPECT_EQ(At<uint16_t>(14), 0) << "old_free_head";
  EXPECT_EQ(At<uint16_t>(20), 0x101) << "the wrap counters";
  for (uint16_t i = 0; i < kSize; ++i) {
    EXPECT_EQ(At<uint16_t>(32 + size_t{32} * i + 2), i + 1) << "next";
  }

  DescriptorChain two(kSize);
  DescriptorChain one(kSize);
  ASSERT_TRUE(driver.Chain().Readable("request").Writable(9).Offer());
  ASSERT_TRUE(queue.Pop(two));
  ASSERT_TRUE(driver.Chain().Writable(5).Offer());
  ASSERT_TRUE(queue.Pop(one));
  EXPECT_EQ(At<uint16_t>(12), 3) << "free_head";
  EXPECT_EQ(At<uint16_t>(14), 3) << "old_free_head";
  constexpr size_t kFirst = 32;
  EXPECT_EQ(At<uint8_t>(kFirst), 1) << "inflight";
  EXPECT_EQ(At<uint16_t>(kFirst + 2), 1) << "next";
  EXPECT_EQ(At<uint16_t>(kFirst + 4), 1) << "last";
  EXPECT_EQ(At<uint16_t>(kFirst + 6), 2) << "num";
  EXPECT_EQ(At<uint64_t>(kFirst + 8), 0u) << "counter";
  EXPECT_EQ(At<uint16_t>(kFirst + 16), two.id()) << "id";
  EXPECT_EQ(At<uint16_t>(kFirst + 18), kPackedDescAvail | kPackedDescNext);
  EXPECT_EQ(At<uint32_t>(kFirst + 20), 7u) << "len";
  EXPECT_EQ(At<uint64_t>(kFirst + 24), two.readable()[0].address.value());
  constexpr size_t kSecond = 64;
  EXPECT_EQ(At<uint8_t>(kSecond), 0) << "not a head";
  EXPECT_EQ(At<uint16_t>(kSecond + 18), kPackedDescAvail | kPackedDescWrite);
  EXPECT_EQ(At<uint32_t>(kSecond + 20), 9u) << "len";
  EXPECT_EQ(At<uint64_t>(kSecond + 24), two.writable()[0].address.value());
  constexpr size_t kThird = 96;
  EXPECT_EQ(At<uint8_t>(kThird), 1) << "inflight";
  EXPECT_EQ(At<uint16_t>(kThird + 4), 2) << "last";
  EXPECT_EQ(At<uint16_t>(kThird + 6), 1) << "num";
  EXPECT_EQ(At<uint64_t>(kThird + 8), 1u) << "counter";

  queue.Push(two, 9);
  (void)queue.Publish();
  EXPECT_EQ(At<uint8_t>(kFirst), 0) << "inflight";
  EXPECT_EQ(At<uint8_t>(kThird), 1) << "inflight";
  EXPECT_EQ(At<uint16_t>(12), 0) << "free_head";
  EXPECT_EQ(At<uint16_t>(14), 0) << "old_free_head";
  EXPECT_EQ(At<uint16_t>(kSecond + 2), 3) << "next: of what was free before";
  EXPECT_EQ(At<uint16_t>(16), 2) << "used_idx";
  EXPECT_EQ(At<uint16_t>(18), 2) << "old_used_idx";

  queue.Push(one, 5);
  (void)queue.Publish();
  ASSERT_TRUE(driver.GetUsed().has_value());
  ASSERT_TRUE(driver.Chain().Readable("request").Writable(9).Offer());
  ASSERT_TRUE(queue.Pop(two));
  queue.Push(two, 9);
  (void)queue.Publish();
  EXPECT_EQ(At<uint16_t>(16), 1) << "used_idx";
  EXPECT_EQ(At<uint16_t>(20), 0) << "the wrap counters";
}

}  // namespace
}  // namespace annulus::virtio
