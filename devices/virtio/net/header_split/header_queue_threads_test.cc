// Several workers share one header queue, and a driver gives slots back as fast
// as it can. To be run under ThreadSanitizer, too.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

using memory::GuestAddress;
using Result = HeaderSlots::Result;

constexpr uint64_t kBase = 0x10000;
constexpr uint64_t kTail = 0x8000;
constexpr uint16_t kSlotBytes = 64;
constexpr int kWorkers = 3;
// Indices wrap.
constexpr uint32_t kHeaders = 80'000;

// What stands for used descriptors: which index a slot was last used with, plus
// one, or 0.
class UsedSlots {
 public:
  explicit UsedSlots(uint32_t slots)
      : mask_(slots - 1), used_(new std::atomic<uint32_t>[slots]()) {}

  // By a worker. False if the slot is in use already.
  bool Use(uint16_t index) {
    // Release: pairs with the driver's acquire.
    return used_[index & mask_].exchange(index + 1u,
                                         std::memory_order_release) == 0;
  }

  // By the driver. 0, or the index plus one, once.
  uint32_t Take(uint32_t index) {
    std::atomic<uint32_t>& slot = used_[index & mask_];
    const uint32_t value = slot.load(std::memory_order_acquire);
    if (value != 0) slot.store(0, std::memory_order_relaxed);
    return value;
  }

 private:
  const uint32_t mask_;
  const std::unique_ptr<std::atomic<uint32_t>[]> used_;
};

struct WorkerResult {
  uint32_t claimed = 0;
  uint32_t twice = 0;
  uint32_t failed = 0;  // kFailed and kBroken.
};

// A header that says which index it is for.
std::array<uint8_t, kSlotBytes> HeaderOf(uint16_t index) {
  std::array<uint8_t, kSlotBytes> header;
  header.fill(static_cast<uint8_t>(index * 31));
  header[0] = static_cast<uint8_t>(index);
  header[kSlotBytes - 1] = static_cast<uint8_t>(index >> 8);
  return header;
}

WorkerResult Work(HeaderSlots slots, UsedSlots& used,
                  const std::atomic<bool>& stop) {
  WorkerResult result;
  while (!stop.load(std::memory_order_relaxed)) {
    const HeaderSlots::Claim claim = slots.ClaimSlot();
    if (claim.result == Result::kNone) {
      std::this_thread::yield();
      continue;
    }
    if (claim.result != Result::kClaimed) {
      ++result.failed;
      return result;
    }
    slots.Write(claim.index, HeaderOf(claim.index));
    if (!used.Use(claim.index)) ++result.twice;
    ++result.claimed;
  }
  return result;
}

class HeaderQueueThreadsTest : public testing::TestWithParam<int> {};

TEST_P(HeaderQueueThreadsTest, EachIndexIsClaimedOnceAndInOrder) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 0x100000}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  HeaderQueue queue({.slot_bytes = kSlotBytes,
                     .log_slots = static_cast<uint16_t>(GetParam()),
                     .base = GuestAddress(kBase),
                     .tail = GuestAddress(kTail)});
  ASSERT_TRUE(HeaderQueue::IsUsable(queue.config(), memory));
  const memory::GuestSpan tail = *memory.Map(GuestAddress(kTail), 2);
  const memory::GuestSpan slots =
      *memory.Map(GuestAddress(kBase), uint64_t{queue.slots()} * kSlotBytes);
  tail.Store<uint16_t>(0, static_cast<uint16_t>(queue.slots()),
                       std::memory_order_release);

  UsedSlots used(queue.slots());
  std::atomic<bool> stop{false};
  std::atomic<int> running{kWorkers};
  std::array<WorkerResult, kWorkers> results;
  std::vector<std::thread> workers;
  for (WorkerResult& result : results) {
    workers.emplace_back([&] {
      result = Work(HeaderSlots::Map(queue, memory).value(), used, stop);
      running.fetch_sub(1, std::memory_order_release);
    });
  }

  // The driver: index after index, each slot with what belongs into it. It
  // gives the slot back at once, so all of them are available nearly always,
  // and each claim that goes on meanwhile moves what is possible.
  uint32_t wrong = 0;
  uint32_t next = 0;
  while (next < kHeaders && running.load(std::memory_order_acquire) > 0) {
    const uint32_t value = used.Take(next);
    if (value == 0) {
      std::this_thread::yield();
      continue;
    }
    const uint16_t index = static_cast<uint16_t>(next);
    if (value != index + 1u) ++wrong;
    std::array<uint8_t, kSlotBytes> header;
    slots.CopyOut((next & (queue.slots() - 1)) * size_t{kSlotBytes},
                  absl::MakeSpan(header));
    if (header != HeaderOf(index)) ++wrong;
    ++next;
    tail.Store<uint16_t>(0, static_cast<uint16_t>(next + queue.slots()),
                         std::memory_order_release);
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& worker : workers) worker.join();

  EXPECT_EQ(next, kHeaders);
  EXPECT_EQ(wrong, 0u);
  uint32_t claimed = 0;
  for (const WorkerResult& result : results) {
    claimed += result.claimed;
    EXPECT_EQ(result.twice, 0u);
    EXPECT_EQ(result.failed, 0u) << "an honest driver was called broken";
  }
  // What was claimed and not yet given back when the driver stopped.
  EXPECT_GE(claimed, kHeaders);
  EXPECT_LE(claimed, kHeaders + queue.slots());
}

// The driver's index becomes impossible while all workers claim: the error is
// one worker's to count, and the end for all.
TEST_P(HeaderQueueThreadsTest, AnImpossibleIndexIsSaidOnce) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 0x100000}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  const memory::GuestSpan tail = *memory.Map(GuestAddress(kTail), 2);
  for (int round = 0; round < 200; ++round) {
    HeaderQueue queue({.slot_bytes = kSlotBytes,
                       .log_slots = static_cast<uint16_t>(GetParam()),
                       .base = GuestAddress(kBase),
                       .tail = GuestAddress(kTail)});
    tail.Store<uint16_t>(0, static_cast<uint16_t>(queue.slots()),
                         std::memory_order_release);
    std::atomic<int> broken{0};
    std::vector<std::thread> workers;
    for (int i = 0; i < kWorkers; ++i) {
      workers.emplace_back([&] {
        HeaderSlots slots = HeaderSlots::Map(queue, memory).value();
        for (;;) {
          const Result result = slots.ClaimSlot().result;
          if (result == Result::kBroken) broken.fetch_add(1);
          if (result == Result::kBroken || result == Result::kFailed) return;
          if (result == Result::kNone) std::this_thread::yield();
        }
      });
    }
    // More than twice as many as there are, whatever was claimed.
    tail.Store<uint16_t>(0, static_cast<uint16_t>(3 * queue.slots() + 1),
                         std::memory_order_release);
    for (std::thread& worker : workers) worker.join();
    ASSERT_EQ(broken.load(), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(LogOfSlots, HeaderQueueThreadsTest,
                         testing::Values(0, 1, 3, 8));

}  // namespace
}  // namespace annulus::virtio
