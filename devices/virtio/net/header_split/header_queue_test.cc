#include "devices/virtio/net/header_split/header_queue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

using memory::GuestAddress;
using Result = HeaderSlots::Result;

constexpr uint64_t kRamBytes = 0x2000000;  // The largest queue has this size.
constexpr uint64_t kBase = 0x10000;
constexpr uint64_t kTail = 0x8000;

class HeaderQueueTest : public testing::Test {
 protected:
  static HeaderQueueConfig Config(uint16_t log_slots, uint16_t bytes = 64) {
    return {.slot_bytes = bytes,
            .log_slots = log_slots,
            .base = GuestAddress(kBase),
            .tail = GuestAddress(kTail)};
  }

  void SetTail(uint32_t tail) {
    memory_.Map(GuestAddress(kTail), 2)
        ->Store<uint16_t>(0, static_cast<uint16_t>(tail),
                          std::memory_order_release);
  }

  bool IsUsable(const HeaderQueueConfig& config) {
    return HeaderQueue::IsUsable(config, memory_);
  }

  static HeaderSlots Map(HeaderQueue& queue,
                         const memory::GuestMemory& memory) {
    EXPECT_TRUE(HeaderQueue::IsUsable(queue.config(), memory));
    return HeaderSlots::Map(queue, memory).value();
  }
  HeaderSlots Map(HeaderQueue& queue) { return Map(queue, memory_); }

  std::vector<uint8_t> Ram(uint64_t address, size_t bytes) {
    std::vector<uint8_t> out(bytes);
    EXPECT_TRUE(memory_.Read(GuestAddress(address), absl::MakeSpan(out)));
    return out;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
};

// Takes a slot that has to be the one of this index.
void ExpectClaim(HeaderSlots& slots, uint16_t index) {
  const HeaderSlots::Claim claim = slots.ClaimSlot();
  ASSERT_EQ(claim.result, Result::kClaimed) << "index " << index;
  ASSERT_EQ(claim.index, index);
}

TEST_F(HeaderQueueTest, NothingIsAvailableAtFirst) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
}

TEST_F(HeaderQueueTest, SlotsAreClaimedInOrder) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  SetTail(5);
  for (uint16_t i = 0; i < 5; ++i) ExpectClaim(slots, i);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
  SetTail(6);
  ExpectClaim(slots, 5);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
}

TEST_F(HeaderQueueTest, AllSlotsAtOnce) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  SetTail(16);
  for (uint16_t i = 0; i < 16; ++i) ExpectClaim(slots, i);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
  SetTail(32);
  for (uint16_t i = 16; i < 32; ++i) ExpectClaim(slots, i);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
}

TEST_F(HeaderQueueTest, IndicesRunFreelyBeyond65536) {
  for (const uint16_t log_slots : {0, 3, 15}) {
    HeaderQueue queue(Config(log_slots));
    HeaderSlots slots = Map(queue);
    const uint32_t size = queue.slots();
    // In steps that do not divide 65536.
    const uint32_t step = size < 3 ? 1 : size - 1;
    for (uint32_t tail = 0; tail < 200'000;) {
      SetTail(tail + step);
      for (uint32_t i = 0; i < step; ++i, ++tail) {
        ExpectClaim(slots, static_cast<uint16_t>(tail));
        if (HasFatalFailure()) return;
      }
      ASSERT_EQ(slots.ClaimSlot().result, Result::kNone);
    }
  }
}

TEST_F(HeaderQueueTest, FullAndEmptyOfTheLargestCanBeToldApart) {
  HeaderQueue queue(Config(15));
  HeaderSlots slots = Map(queue);
  SetTail(0x8000);
  for (uint32_t i = 0; i < 0x8000; ++i) {
    ExpectClaim(slots, static_cast<uint16_t>(i));
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
  SetTail(0x10000);
  ExpectClaim(slots, 0x8000);
  SetTail(0x10001);
  ExpectClaim(slots, 0x8001);
}

TEST_F(HeaderQueueTest, Vector9IndexBeyondAllSlotsIsSaidOnce) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  SetTail(17);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kBroken);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kFailed);
  // A driver that thinks better of it comes too late.
  SetTail(4);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kFailed);
}

TEST_F(HeaderQueueTest, IndexThatGoesBackIsImpossible) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  SetTail(5);
  for (uint16_t i = 0; i < 5; ++i) ExpectClaim(slots, i);
  SetTail(4);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kBroken);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kFailed);
}

TEST_F(HeaderQueueTest, IndexIsTakenFreshForEachClaim) {
  HeaderQueue queue(Config(4));
  HeaderSlots slots = Map(queue);
  SetTail(16);
  ExpectClaim(slots, 0);
  // Available were 15; a driver may make it none, but not take back more.
  SetTail(1);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kNone);
  SetTail(18);
  EXPECT_EQ(slots.ClaimSlot().result, Result::kBroken);
}

TEST_F(HeaderQueueTest, AllViewsOfAFailedQueueFailAndOneSaysSo) {
  HeaderQueue queue(Config(4));
  HeaderSlots first = Map(queue);
  HeaderSlots second = Map(queue);
  SetTail(40000);
  EXPECT_EQ(first.ClaimSlot().result, Result::kBroken);
  EXPECT_EQ(second.ClaimSlot().result, Result::kFailed);
  EXPECT_EQ(first.ClaimSlot().result, Result::kFailed);
}

TEST_F(HeaderQueueTest, ViewsShareTheSlots) {
  HeaderQueue queue(Config(4));
  HeaderSlots first = Map(queue);
  HeaderSlots second = Map(queue);
  SetTail(4);
  ExpectClaim(first, 0);
  ExpectClaim(second, 1);
  ExpectClaim(second, 2);
  ExpectClaim(first, 3);
  EXPECT_EQ(second.ClaimSlot().result, Result::kNone);
}

TEST_F(HeaderQueueTest, QueuesAreIndependent) {
  HeaderQueue good(Config(4));
  HeaderQueueConfig config = Config(4);
  config.base = GuestAddress(kBase + 0x10000);
  config.tail = GuestAddress(kTail + 2);
  HeaderQueue bad(config);
  HeaderSlots good_slots = Map(good);
  HeaderSlots bad_slots = Map(bad);
  SetTail(1);
  memory_.Map(config.tail, 2)
      ->Store<uint16_t>(0, 999, std::memory_order_release);
  EXPECT_EQ(bad_slots.ClaimSlot().result, Result::kBroken);
  ExpectClaim(good_slots, 0);
}

TEST_F(HeaderQueueTest, SlotLiesWhereItsIndexSays) {
  HeaderQueue queue(Config(2, 128));
  HeaderSlots slots = Map(queue);
  // Slots 1 and 3 by indices of later rounds; 0 and 2 are left alone.
  const std::vector<uint8_t> all(128, 0xaa);
  const std::vector<uint8_t> some(66, 0xbb);
  slots.Write(static_cast<uint16_t>(4 * 5 + 1), all);
  slots.Write(65535, some);
  EXPECT_EQ(Ram(kBase + 128, 128), all);
  EXPECT_EQ(Ram(kBase + 3 * 128, 66), some);
  // What is behind a header is not touched, and no other slot.
  EXPECT_EQ(Ram(kBase + 3 * 128 + 66, 62), std::vector<uint8_t>(62));
  EXPECT_EQ(Ram(kBase, 128), std::vector<uint8_t>(128));
  EXPECT_EQ(Ram(kBase + 2 * 128, 128), std::vector<uint8_t>(128));
  EXPECT_EQ(Ram(kBase + 4 * 128, 128), std::vector<uint8_t>(128));
}

TEST_F(HeaderQueueTest, WritesAreMarkedInTheDirtyLog) {
  memory::DirtyLog log(kRamBytes);
  const memory::GuestMemory logged =
      memory::GuestMemory::Create(ram_.Regions(), &log).value();
  HeaderQueueConfig config = Config(5, 128);
  config.base = GuestAddress(0x10fc0);  // Slot 0 goes over the end of a page.
  HeaderQueue queue(config);
  HeaderSlots slots = Map(queue, logged);
  slots.Write(0, std::vector<uint8_t>(128));
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{0x10, 0x11}));
  slots.Write(0, std::vector<uint8_t>(64));
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{0x10}));
  slots.Write(32 * 3 + 31, std::vector<uint8_t>(66));
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{0x11}));
  // To claim is not to write.
  SetTail(1);
  ExpectClaim(slots, 0);
  EXPECT_TRUE(log.Collect().empty());
}

TEST_F(HeaderQueueTest, SlotSizes) {
  for (uint32_t bytes = 0; bytes <= 65535; ++bytes) {
    const bool legal = bytes >= 64 && bytes <= 1024 && bytes % 64 == 0;
    ASSERT_EQ(IsUsable(Config(4, static_cast<uint16_t>(bytes))), legal)
        << bytes;
  }
}

TEST_F(HeaderQueueTest, NumbersOfSlots) {
  for (uint32_t log = 0; log <= 65535; ++log) {
    ASSERT_EQ(IsUsable(Config(static_cast<uint16_t>(log))),
              log <= kMaxHeaderQueueLog)
        << log;
  }
}

TEST_F(HeaderQueueTest, Alignment) {
  for (uint64_t offset = 0; offset < 128; ++offset) {
    HeaderQueueConfig config = Config(4);
    config.base = GuestAddress(kBase + offset);
    EXPECT_EQ(IsUsable(config), offset % 64 == 0) << offset;
    config = Config(4);
    config.tail = GuestAddress(kTail + offset);
    EXPECT_EQ(IsUsable(config), offset % 2 == 0) << offset;
  }
}

TEST_F(HeaderQueueTest, MemoryThatIsNotRam) {
  HeaderQueueConfig config = Config(4, 64);
  constexpr uint64_t kBytes = 16 * 64;
  config.base = GuestAddress(kRamBytes - kBytes);
  EXPECT_TRUE(IsUsable(config));
  for (const uint64_t base :
       {kRamBytes - kBytes + 64, kRamBytes - 64, kRamBytes,
        uint64_t{0xffffffffffffffc0}, uint64_t{0xfffffffffffffc00}}) {
    config.base = GuestAddress(base);
    EXPECT_FALSE(IsUsable(config)) << base;
    HeaderQueue queue(config);
    EXPECT_FALSE(HeaderSlots::Map(queue, memory_).has_value()) << base;
  }
  config = Config(4);
  config.tail = GuestAddress(kRamBytes - 2);
  EXPECT_TRUE(IsUsable(config));
  for (const uint64_t tail : {kRamBytes, uint64_t{0xfffffffffffffffe}}) {
    config.tail = GuestAddress(tail);
    EXPECT_FALSE(IsUsable(config)) << tail;
    HeaderQueue queue(config);
    EXPECT_FALSE(HeaderSlots::Map(queue, memory_).has_value()) << tail;
  }
}

TEST_F(HeaderQueueTest, TheLargestQueueNeedsAllOfItsMemory) {
  // 32 MiB of slots, and RAM has no more: only without what is before.
  HeaderQueueConfig config = Config(15, 1024);
  EXPECT_FALSE(IsUsable(config));
  config.base = GuestAddress(0);
  EXPECT_TRUE(IsUsable(config));
  HeaderQueue queue(config);
  HeaderSlots slots = Map(queue);
  slots.Write(32767, std::vector<uint8_t>(1024, 0xcc));
  EXPECT_EQ(Ram(kRamBytes - 1024, 1024), std::vector<uint8_t>(1024, 0xcc));
}

TEST_F(HeaderQueueTest, MemoryThatIsNotContiguousHere) {
  // To the guest it is; but two mappings.
  memory::GuestRam other = memory::GuestRam::Create({.size = 0x1000}).value();
  std::vector<memory::GuestRegion> regions = ram_.Regions();
  regions.push_back({.start = GuestAddress(kRamBytes),
                     .size = 0x1000,
                     .host = other.Regions()[0].host});
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(regions).value();
  HeaderQueueConfig config = Config(4);
  config.base = GuestAddress(kRamBytes - 512);
  EXPECT_FALSE(HeaderQueue::IsUsable(config, memory));
  config.base = GuestAddress(kRamBytes);
  EXPECT_TRUE(HeaderQueue::IsUsable(config, memory));
}

}  // namespace
}  // namespace annulus::virtio
