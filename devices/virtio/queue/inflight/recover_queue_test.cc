#include "devices/virtio/queue/inflight/recover_queue.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRamBytes = 1 << 20;
constexpr uint64_t kRings = 0x10000;  // FakeDriver's layout begins there.
constexpr size_t kRingBytes = 0x1000;

// A device of either format that notes what it has in flight.
class RecoverQueueTest : public testing::TestWithParam<bool> {
 protected:
  using Bytes = std::vector<uint8_t>;

  static constexpr uint16_t kSize = 8;
  static bool Packed() { return GetParam(); }

  memory::GuestSpan Region() {
    return memory::GuestSpan(
        static_cast<uint8_t*>(static_cast<void*>(region_.data())),
        region_.size() * sizeof(uint64_t));
  }
  template <typename T>
  T In(size_t offset) {
    return Region().Load<T>(offset, std::memory_order_relaxed);
  }
  template <typename T>
  void Put(size_t offset, T value) {
    Region().Store<T>(offset, value, std::memory_order_relaxed);
  }
  Bytes Rings() const {
    Bytes bytes(kRingBytes);
    EXPECT_TRUE(
        memory_.Read(memory::GuestAddress(kRings), absl::MakeSpan(bytes)));
    return bytes;
  }
  void PutRings(const Bytes& bytes) {
    ASSERT_TRUE(memory_.Write(memory::GuestAddress(kRings), bytes));
  }

  void Start(const std::optional<QueueState>& state = std::nullopt) {
    queue_.emplace((state.has_value()
                        ? Virtqueue::Create(memory_, driver_.config(), *state)
                        : Virtqueue::Create(memory_, driver_.config()))
                       .value());
    notes_ = InflightNotes();
    ASSERT_TRUE(queue_->NoteInflight(Region(), notes_).ok());
  }
  void Offer(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(driver_.Chain().Readable("request").Writable(9).Offer());
    }
  }
  void Pop(int count) {
    for (int i = 0; i < count; ++i) {
      chains_.emplace_back(kSize);
      ASSERT_TRUE(queue_->Pop(chains_.back()));
    }
  }
  void Push(int count) {
    for (int i = 0; i < count; ++i) {
      queue_->Push(chains_.front(), 9);
      chains_.pop_front();
    }
  }
  void TakeUsed(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(driver_.GetUsed().has_value());
    ASSERT_FALSE(driver_.GetUsed().has_value());
    ASSERT_FALSE(driver_.broken());
  }
  absl::StatusOr<std::optional<QueueState>> Recover() {
    return RecoverQueue(memory_, driver_.config(), Region());
  }
  void ExpectRefused(const char* why) {
    const Bytes rings = Rings();
    const std::vector<uint64_t> region = region_;
    const absl::StatusOr<std::optional<QueueState>> state = Recover();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_FALSE(state->has_value()) << why;
    EXPECT_EQ(Rings(), rings) << why;
    EXPECT_EQ(region_, region) << why;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog dirty_{kRamBytes};
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions(), &dirty_).value();
  FakeDriver driver_{memory_,
                     {.packed = Packed(),
                      .indirect = false,
                      .size = kSize,
                      .base = memory::GuestAddress(kRings)}};
  std::vector<uint64_t> region_ = std::vector<uint64_t>(
      InflightRegionBytes(Packed(), kSize) / sizeof(uint64_t));
  std::optional<Virtqueue> queue_;
  InflightNotes notes_;
  std::deque<DescriptorChain> chains_;
};

TEST_P(RecoverQueueTest, RegionOfZeroesSaysNothing) {
  ExpectRefused("not initialized");
}

TEST_P(RecoverQueueTest, NewQueueGoesOnAtTheBeginning) {
  Start();
  EXPECT_EQ(Recover().value(), (QueueState{.packed = Packed(), .size = kSize}));
}

TEST_P(RecoverQueueTest, BuffersInFlightAreAvailableAgain) {
  Start();
  Offer(4);
  Pop(3);
  Push(1);
  queue_->Expose();
  const Bytes rings = Rings();
  Push(2);  // Of which the driver sees nothing; a packed one is overwritten.
  EXPECT_NE(Rings(), rings);
  (void)dirty_.Collect();
  const std::optional<QueueState> state = Recover().value();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->next_used, Packed() ? 2 : 1);
  EXPECT_EQ(state->next_available, state->next_used);
  if (Packed()) {
    EXPECT_EQ(Rings(), rings);
    EXPECT_EQ(dirty_.Collect(),
              std::vector<uint64_t>{kRings / memory::DirtyLog::kPageSize});
  }
  Start(state);
  chains_.clear();
  Pop(3);
  EXPECT_EQ(chains_.front().readable_bytes(), 7u);
  EXPECT_EQ(chains_.front().writable_bytes(), 9u);
  Push(3);
  queue_->Expose();
  TakeUsed(4);
}

TEST_P(RecoverQueueTest, RecoveryTwiceComesToTheSame) {
  Start();
  Offer(3);
  Pop(2);
  Push(2);
  const std::optional<QueueState> state = Recover().value();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(Recover().value(), state);
}

// bad_inputs 38.
TEST_P(RecoverQueueTest, HeaderOfAnythingElseIsRefused) {
  Start();
  Offer(3);
  Pop(2);
  ASSERT_EQ(In<uint16_t>(8), kInflightVersion);
  Put<uint16_t>(8, 2);
  ExpectRefused("a version that does not exist");
  Put<uint16_t>(8, kInflightVersion);
  for (const int size : {0, 1, kSize - 1, kSize + 1, 65535}) {
    Put<uint16_t>(10, static_cast<uint16_t>(size));
    ExpectRefused("of another size");
  }
  Put<uint16_t>(10, kSize);
  Put<uint64_t>(0, 1);
  ExpectRefused("a feature that does not exist");
  Put<uint64_t>(0, 0);
  EXPECT_TRUE(Recover().value().has_value());
}

TEST_P(RecoverQueueTest, RegionOfRingsThatBeganAnewIsRefused) {
  const Bytes fresh = Rings();
  // Up to there, with so much in flight.
  for (const auto& [used, in_flight] : {std::pair(1, 0),
                                        {1, 1},
                                        {0, 2},
                                        {3, 1},
                                        {6, 0},
                                        {6, 2},
                                        {8, 0},
                                        {11, 2}}) {
    std::fill(region_.begin(), region_.end(), 0);
    FakeDriver driver(memory_, {.packed = Packed(),
                                .indirect = false,
                                .size = kSize,
                                .base = memory::GuestAddress(kRings)});
    Virtqueue queue = Virtqueue::Create(memory_, driver.config()).value();
    InflightNotes notes;
    ASSERT_TRUE(queue.NoteInflight(Region(), notes).ok());
    for (int i = 0; i < used + in_flight; ++i) {
      DescriptorChain chain(kSize);
      ASSERT_TRUE(driver.Chain().Writable(9).Offer());
      ASSERT_TRUE(queue.Pop(chain));
      if (i >= used) continue;
      queue.Push(chain, 9);
      (void)queue.Publish();
      ASSERT_TRUE(driver.GetUsed().has_value());
    }
    const Bytes rings = Rings();
    PutRings(fresh);
    ExpectRefused("the rings are new");
    PutRings(rings);
    EXPECT_TRUE(Recover().value().has_value());
    PutRings(fresh);
  }
}

TEST_P(RecoverQueueTest, BuffersThatAreNotInTheRingAreRefused) {
  Start();
  Offer(3);
  Pop(3);
  const Bytes rings = Rings();
  // The second buffer: its first descriptor, or its entry of the available
  // ring, which follows the descriptors.
  const size_t at = Packed() ? 2 * 16 : kSize * 16 + 4 + 2;
  for (const size_t byte : {0, 1}) {
    Bytes changed = rings;
    changed[at + byte] ^= 1;
    PutRings(changed);
    ExpectRefused("another buffer is there");
  }
  PutRings(rings);
  EXPECT_TRUE(Recover().value().has_value());
}

TEST_P(RecoverQueueTest, RegionThatIsTooSmallOrMisalignedIsAnError) {
  const memory::GuestSpan region = Region();
  for (const memory::GuestSpan& bad :
       {memory::GuestSpan(), region.Subspan(0, region.size() - 64),
        region.Subspan(4, region.size() - 4)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        RecoverQueue(memory_, driver_.config(), bad).status()));
    Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
    InflightNotes notes;
    EXPECT_TRUE(absl::IsInvalidArgument(queue.NoteInflight(bad, notes)));
  }
  QueueConfig config = driver_.config();
  config.size = 0;
  EXPECT_TRUE(
      absl::IsInvalidArgument(RecoverQueue(memory_, config, region).status()));
}

TEST_P(RecoverQueueTest, QueueWithChainsInFlightDoesNotBeginToNote) {
  queue_.emplace(Virtqueue::Create(memory_, driver_.config()).value());
  Offer(1);
  Pop(1);
  EXPECT_TRUE(absl::IsInvalidArgument(queue_->NoteInflight(Region(), notes_)));
}

// Whatever a field says: no crash, no walk without an end, nothing beyond the
// region or the rings, and a state that a queue takes.
TEST_P(RecoverQueueTest, AnyFieldMayHaveAnyValue) {
  Start();
  Offer(4);
  Pop(4);
  Push(1);
  queue_->Expose();
  Push(2);
  const std::vector<uint64_t> region = region_;
  const Bytes rings = Rings();
  int recovered = 0;
  for (size_t at = 0; at < region.size() * 8; at += 2) {
    for (const int value : {0, 1, 2, kSize - 1, +kSize, 0x8000, 0xffff}) {
      region_ = region;
      PutRings(rings);
      Put<uint16_t>(at, static_cast<uint16_t>(value));
      const absl::StatusOr<std::optional<QueueState>> state = Recover();
      ASSERT_TRUE(state.ok());
      if (!state->has_value()) continue;
      ++recovered;
      Virtqueue queue =
          Virtqueue::Create(memory_, driver_.config(), **state).value();
      InflightNotes notes;
      ASSERT_TRUE(queue.NoteInflight(Region(), notes).ok());
    }
  }
  EXPECT_GT(recovered, 0) << "padding, and the fields as they were";
}

INSTANTIATE_TEST_SUITE_P(Formats, RecoverQueueTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "Packed" : "Split";
                         });

}  // namespace
}  // namespace annulus::virtio
