// Header queues that several threads use: two receive queues, and a driver that
// writes to its index at any time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr size_t kHead = 66;

class SplitThreadsTest : public testing::TestWithParam<SplitShape> {
 protected:
  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 16 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
};

// The driver's part of a header queue, of all threads together: slots go back
// in the order of their indices.
class Slots {
 public:
  explicit Slots(HeaderArea& area) : area_(area) {
    area.SetTail(static_cast<uint16_t>(area.slots()));
  }

  // The headers of `indices` have been read.
  void Return(const std::set<uint16_t>& indices) {
    const MutexLock lock(mu_);
    for (const uint16_t index : indices) {
      ASSERT_TRUE(read_.insert(index).second) << "two frames in one slot";
    }
    while (read_.erase(next_) != 0) ++next_;
    area_.SetTail(static_cast<uint16_t>(next_ + area_.slots()));
  }

  uint16_t next() {
    const MutexLock lock(mu_);
    return next_;
  }

 private:
  HeaderArea& area_;
  Mutex mu_;
  std::set<uint16_t> read_ ABSL_GUARDED_BY(mu_);
  uint16_t next_ ABSL_GUARDED_BY(mu_) = 0;  // Not read so far.
};

// One receive queue and its driver.
void ReceiveAll(SplitReceiver& receiver, HeaderArea& area, Slots& slots,
                uint32_t frames, uint32_t first, uint32_t& split) {
  const size_t index_at = receiver.header_bytes() - 8;
  uint32_t given = 0;
  uint32_t seen = 0;
  while (seen < frames) {
    for (int i = 0; i < 3 && given < frames && given < seen + 20; ++i) {
      ASSERT_TRUE(receiver.Offer({1200}));
      receiver.Give(WithNetHeader(
          MakeFrame({.tcp_options = 12,
                     .payload = 1000,
                     .port = static_cast<uint16_t>(first + given % 1000),
                     .seed = first + given})));
      ++given;
    }
    receiver.Drain();
    std::set<uint16_t> read;
    for (const FakeDriver::Used& used : receiver.Collect()) {
      const std::string frame =
          MakeFrame({.tcp_options = 12,
                     .payload = 1000,
                     .port = static_cast<uint16_t>(first + seen % 1000),
                     .seed = first + seen});
      const std::string bytes = used.data.substr(receiver.header_bytes());
      ++seen;
      if (FlagsOf(used.data) == 0) {
        ASSERT_EQ(bytes, frame);
        continue;
      }
      ++split;
      const uint16_t index = Field16(used.data, index_at);
      ASSERT_EQ(area.Slot(index).substr(0, kHead) + bytes, frame);
      ASSERT_TRUE(read.insert(index).second);
    }
    slots.Return(read);
  }
}

TEST_P(SplitThreadsTest, TwoReceiveQueuesShareAHeaderQueue) {
  SplitReceiver receivers[2] = {{GetParam(),
                                 {.memory = &memory_,
                                  .base = memory::GuestAddress(0x10000),
                                  .bytes = 0x100000}},
                                {GetParam(),
                                 {.pair = 1,
                                  .memory = &memory_,
                                  .base = memory::GuestAddress(0x200000),
                                  .bytes = 0x100000}}};
  HeaderArea area(memory_, {.id = 9, .log_slots = 4});
  Slots slots(area);
  constexpr uint32_t kFrames = 2000;
  uint32_t split[2] = {};
  {
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < 2; ++i) {
      receivers[i].Attach(area.queue());
      threads.emplace_back([&, i] {
        ReceiveAll(receivers[i], area, slots, kFrames, 1000 + i * 20000,
                   split[i]);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GT(split[0], 10u);
  EXPECT_GT(split[1], 10u);
  // No index was left out.
  EXPECT_EQ(slots.next(), static_cast<uint16_t>(split[0] + split[1]));
  for (const SplitReceiver& receiver : receivers) {
    EXPECT_EQ(receiver.split().header_queue_errors.value(), 0u);
    EXPECT_EQ(receiver.counters().frames.value(), kFrames);
  }
}

// Whatever the driver writes there at whatever time, a frame arrives.
TEST_P(SplitThreadsTest, TailMayBeAnythingAtAnyTime) {
  SplitReceiver receiver(GetParam(), {.memory = &memory_, .bytes = 0x100000});
  for (uint16_t round = 0; round < 20; ++round) {
    HeaderArea area(
        memory_,
        {.id = round % 16u == 0 ? uint16_t{0} : uint16_t{1}, .log_slots = 2});
    receiver.Attach(area.queue());
    std::atomic<bool> done{false};
    std::thread driver([&] {
      uint32_t number = round;
      while (!done.load(std::memory_order_relaxed)) {
        number = number * 1664525 + 1013904223;
        // Mostly one that may be.
        area.SetTail(static_cast<uint16_t>(
            (number >> 20) % 64 != 0 ? (number >> 28) % 5 : number >> 16));
      }
    });
    for (uint32_t i = 0; i < 50; ++i) {
      const std::string frame =
          MakeFrame({.tcp_options = 12, .payload = 200, .seed = i});
      ASSERT_TRUE(receiver.Offer({1200}));
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_EQ(used.size(), 1u);
      const std::string bytes = used[0].data.substr(receiver.header_bytes());
      if (FlagsOf(used[0].data) == 0) {
        ASSERT_EQ(bytes, frame);
      } else {
        const uint16_t index =
            Field16(used[0].data, receiver.header_bytes() - 8);
        ASSERT_EQ(area.Slot(index).substr(0, kHead) + bytes, frame);
      }
    }
    done.store(true, std::memory_order_relaxed);
    driver.join();
    // Its own index is not the only one that a queue goes by.
    EXPECT_LE(receiver.split().header_queue_errors.value(), round + 1u);
  }
  EXPECT_GT(receiver.split().split_packets.value(), 0u);
  EXPECT_TRUE(receiver.queue().ok());
}

INSTANTIATE_TEST_SUITE_P(All, SplitThreadsTest,
                         testing::Values(SplitShape{.packed = false,
                                                    .header_queue = true},
                                         SplitShape{.packed = true,
                                                    .mergeable = true,
                                                    .header_queue = true}),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace annulus::virtio
