#include "devices/virtio/queue/queue_state.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

// Over both ring formats.
class QueueStateTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr uint16_t kSize = 8;
  static bool Packed() { return GetParam(); }

  Virtqueue Make() {
    return Virtqueue::Create(memory_, driver_.config()).value();
  }
  // What Create() says of `state`.
  absl::Status Restore(const QueueState& state) {
    return Virtqueue::Create(memory_, driver_.config(), state).status();
  }

  // A queue with two chains in flight, of two and of one descriptors.
  void Start() {
    queue_.emplace(Make());
    ASSERT_TRUE(driver_.Chain().Readable("request").Writable(100).Offer());
    ASSERT_TRUE(driver_.Chain().Writable(50).Offer());
    ASSERT_TRUE(queue_->Pop(first_));
    ASSERT_TRUE(queue_->Pop(second_));
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = Packed(), .indirect = false, .size = kSize}};
  std::optional<Virtqueue> queue_;
  DescriptorChain first_{kSize};
  DescriptorChain second_{kSize};
};

TEST_P(QueueStateTest, NewQueueSavesAsOneThatWasNotUsed) {
  EXPECT_EQ(Make().Save(), (QueueState{.packed = Packed(), .size = kSize}));
}

TEST_P(QueueStateTest, ChainsInFlightGoOnElsewhere) {
  Start();
  const QueueState state = queue_->Save();
  const ChainState chains[] = {SaveChain(first_), SaveChain(second_)};
  ASSERT_EQ(chains[0].readable.size(), 1u);
  ASSERT_EQ(chains[0].writable.size(), 1u);
  EXPECT_EQ(chains[0].readable[0].bytes, 7u);
  EXPECT_EQ(chains[0].writable[0].bytes, 100u);
  EXPECT_EQ(chains[0].ring_descriptors,
            Packed() ? 2 : chains[0].ring_descriptors);

  absl::StatusOr<Virtqueue> resumed =
      Virtqueue::Create(memory_, driver_.config(), state);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  DescriptorChain one(kSize);
  DescriptorChain two(kSize);
  ASSERT_TRUE(resumed->ResumeChain(chains[0], one).ok());
  ASSERT_TRUE(resumed->ResumeChain(chains[1], two).ok());
  EXPECT_TRUE(one.pending());
  EXPECT_EQ(one.readable_bytes(), 7u);
  EXPECT_EQ(one.writable_bytes(), 100u);
  EXPECT_EQ(SaveChain(one), chains[0]);
  resumed->Push(two, 20);
  resumed->Push(one, 30);
  EXPECT_TRUE(resumed->Publish());
  EXPECT_EQ(driver_.GetUsed()->len, 20u);
  EXPECT_EQ(driver_.GetUsed()->len, 30u);
  EXPECT_FALSE(driver_.broken());

  ASSERT_TRUE(driver_.Chain().Writable(60).Offer());
  ASSERT_TRUE(resumed->Pop(one)) << "and new ones come";
}

TEST_P(QueueStateTest, QueueThatIsSavedAfterEachStepLosesNothing) {
  std::mt19937 random(1);
  Virtqueue queue = Make();
  std::map<uint16_t, uint32_t> expected;  // Written bytes of each buffer.
  std::vector<DescriptorChain> in_flight;
  int returned = 0;
  for (int step = 0; step < 5000; ++step) {
    if (random() % 2 == 0) {
      const uint32_t bytes = 1 + random() % 100;
      FakeDriver::ChainBuilder builder = driver_.Chain();
      if (random() % 2 == 0) builder.Readable("r");
      builder.Writable(bytes);
      const std::optional<uint16_t> id = builder.Offer();
      if (id.has_value()) expected[*id] = bytes;
    }
    DescriptorChain chain(kSize);
    if (random() % 2 == 0 && queue.Pop(chain)) {
      in_flight.push_back(std::move(chain));
    }
    if (random() % 2 == 0 && !in_flight.empty()) {
      const size_t which = random() % in_flight.size();
      queue.Push(in_flight[which], in_flight[which].writable_bytes());
      in_flight.erase(in_flight.begin() + static_cast<ptrdiff_t>(which));
    }
    (void)queue.Publish();
    while (const std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
      ASSERT_EQ(used->len, expected.at(used->id));
      ++returned;
    }
    ASSERT_FALSE(driver_.broken());

    std::vector<ChainState> chains;
    for (const DescriptorChain& c : in_flight) chains.push_back(SaveChain(c));
    absl::StatusOr<Virtqueue> resumed =
        Virtqueue::Create(memory_, driver_.config(), queue.Save());
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    queue = *std::move(resumed);
    in_flight.clear();
    for (const ChainState& state : chains) {
      DescriptorChain c(kSize);
      ASSERT_TRUE(queue.ResumeChain(state, c).ok());
      in_flight.push_back(std::move(c));
    }
    ASSERT_TRUE(queue.ok()) << queue.status();
  }
  EXPECT_GT(returned, 1000);
}

TEST_P(QueueStateTest, ResumedQueueStillCountsWhatIsInFlight) {
  for (int i = 0; i < kSize; ++i) {
    ASSERT_TRUE(driver_.Chain().Writable(8).Offer());
  }
  Virtqueue queue = Make();
  std::vector<DescriptorChain> chains;
  for (int i = 0; i < kSize; ++i) {
    ASSERT_TRUE(queue.Pop(chains.emplace_back(kSize)));
  }
  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), queue.Save()).value();
  for (const DescriptorChain& chain : chains) {
    DescriptorChain taken_up(kSize);
    ASSERT_TRUE(resumed.ResumeChain(SaveChain(chain), taken_up).ok());
  }
  EXPECT_FALSE(resumed.Pop(first_));
  EXPECT_TRUE(resumed.ok());
}

TEST_P(QueueStateTest, LatchedViolationStays) {
  QueueState state = Make().Save();
  state.violation = Violation::kElementOutsideRam;
  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), state).value();
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer());
  EXPECT_FALSE(resumed.Pop(first_));
  EXPECT_EQ(resumed.violation(), Violation::kElementOutsideRam);
}

// bad_inputs 38: saved state that is hostile or corrupt.
TEST_P(QueueStateTest, StateOfAnotherFormatOrSizeIsRefused) {
  QueueState state = Make().Save();
  state.packed = !state.packed;
  EXPECT_FALSE(Restore(state).ok());
  state = Make().Save();
  for (const uint16_t size : {0, 4, 16, 65535}) {
    state.size = size;
    EXPECT_FALSE(Restore(state).ok()) << size;
  }
}

TEST_P(QueueStateTest, UnknownViolationIsRefused) {
  QueueState state = Make().Save();
  state.violation = static_cast<Violation>(255);
  EXPECT_FALSE(Restore(state).ok());
}

TEST_P(QueueStateTest, PositionsThatCannotBeAreRefusedAndOthersAreNot) {
  for (uint32_t available = 0; available < 2 * kSize + 2; ++available) {
    for (uint32_t used = 0; used < 2 * kSize + 2; ++used) {
      for (const int wraps : {0, 1, 2, 3}) {
        QueueState state = Make().Save();
        state.next_available = static_cast<uint16_t>(available);
        state.next_used = static_cast<uint16_t>(used);
        bool legal = static_cast<uint16_t>(available - used) <= kSize;
        if (Packed()) {
          state.available_wrap = (wraps & 1) != 0;
          state.used_wrap = (wraps & 2) != 0;
          // Positions of two laps, counted without wrap counters.
          const uint32_t ahead =
              (available + (state.available_wrap ? 0 : kSize) + 2 * kSize -
               used - (state.used_wrap ? 0 : kSize)) %
              (2 * kSize);
          legal = available < kSize && used < kSize && ahead <= kSize;
        }
        EXPECT_EQ(Restore(state).ok(), legal)
            << available << " " << used << " wraps " << wraps;
      }
    }
  }
}

TEST_P(QueueStateTest, HostileChainStateIsRefused) {
  Start();
  const QueueState state = queue_->Save();
  const ChainState good = SaveChain(first_);
  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), state).value();
  DescriptorChain chain(kSize);
  const auto refused = [&](ChainState bad) {
    const absl::Status status = resumed.ResumeChain(bad, chain);
    return absl::IsInvalidArgument(status) && !chain.pending();
  };

  ChainState bad = good;
  bad.writable[0].address = ram_.size() - 1;
  EXPECT_TRUE(refused(bad)) << "outside of RAM";
  bad.writable[0].address = std::numeric_limits<uint64_t>::max();
  EXPECT_TRUE(refused(bad)) << "wraps 2^64";

  bad = good;
  bad.readable.assign(kSize, good.readable[0]);
  EXPECT_TRUE(refused(bad)) << "more elements than a chain has";

  bad = good;
  bad.readable[0] = {.address = 0, .bytes = 0xffffffff};
  EXPECT_TRUE(refused(bad)) << "sum beyond 32 bits";

  bad = good;
  if (Packed()) {
    for (const uint16_t count : {0, 4, 65535}) {
      bad.ring_descriptors = count;
      EXPECT_TRUE(refused(bad)) << count << " descriptors";
    }
  } else {
    bad.id = kSize;
    EXPECT_TRUE(refused(bad)) << "no such head";
  }
  EXPECT_TRUE(resumed.ResumeChain(good, chain).ok())
      << "after all that nothing has changed";
}

TEST_P(QueueStateTest, MoreChainsThanWereInFlightAreRefused) {
  Start();
  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), queue_->Save()).value();
  const ChainState one = SaveChain(second_);
  const ChainState two = SaveChain(first_);
  DescriptorChain chain(kSize);
  ASSERT_TRUE(resumed.ResumeChain(two, chain).ok());
  DescriptorChain chain2(kSize);
  ASSERT_TRUE(resumed.ResumeChain(one, chain2).ok());
  DescriptorChain chain3(kSize);
  EXPECT_TRUE(absl::IsInvalidArgument(resumed.ResumeChain(one, chain3)));
}

TEST_P(QueueStateTest, FewerChainsThanWereInFlightAreNoticed) {
  EXPECT_TRUE(Make().AllResumed());
  Start();
  EXPECT_TRUE(queue_->AllResumed());
  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), queue_->Save()).value();
  EXPECT_FALSE(resumed.AllResumed());
  DescriptorChain chain(kSize);
  ASSERT_TRUE(resumed.ResumeChain(SaveChain(first_), chain).ok());
  EXPECT_FALSE(resumed.AllResumed());
  DescriptorChain chain2(kSize);
  ASSERT_TRUE(resumed.ResumeChain(SaveChain(second_), chain2).ok());
  EXPECT_TRUE(resumed.AllResumed());
}

INSTANTIATE_TEST_SUITE_P(Formats, QueueStateTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "Packed" : "Split";
                         });

}  // namespace
}  // namespace annulus::virtio
