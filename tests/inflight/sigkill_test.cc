// A device in a process of its own, over shared memory, that is killed while it
// works, again and again, and each time found and continued by the next one.

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/inflight/recover_queue.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

struct Case {
  bool packed;
  uint16_t size;
  bool in_order;
  bool indirect;
};

std::string Name(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return absl::StrCat(c.packed ? "Packed" : "Split", c.size,
                      c.in_order ? "InOrder" : "",
                      c.indirect ? "Indirect" : "");
}

// How the device ended, if it was not killed.
enum Exit { kNothingToRecover = 1, kQueueBroken, kNotesRefused };

class SigkillTest : public testing::TestWithParam<Case> {
 protected:
  static constexpr uint64_t kRamBytes = 4 << 20;
  static constexpr uint64_t kRegion = 3 << 20;

  // The device: never returns. `first`: nothing is to be recovered.
  [[noreturn]] void ServeForever(bool first, uint64_t seed) {
    const memory::GuestSpan region =
        *memory_.Map(memory::GuestAddress(kRegion),
                     InflightRegionBytes(GetParam().packed, GetParam().size));
    std::optional<QueueState> state;
    if (!first) {
      const absl::StatusOr<std::optional<QueueState>> recovered =
          RecoverQueue(memory_, driver_.config(), region);
      if (!recovered.ok() || !recovered->has_value()) _exit(kNothingToRecover);
      state = *recovered;
    }
    absl::StatusOr<Virtqueue> queue =
        state.has_value() ? Virtqueue::Create(memory_, driver_.config(), *state)
                          : Virtqueue::Create(memory_, driver_.config());
    InflightNotes notes;
    if (!queue.ok() || !queue->NoteInflight(region, notes).ok()) {
      _exit(kNotesRefused);
    }
    *started_ = true;
    std::mt19937_64 random(seed);
    ChainBatch batch(GetParam().size, GetParam().size);
    uint32_t pushed = 0;
    while (queue->ok()) {
      (void)queue->TakeMore(batch);
      if (batch.chains().empty()) {
        ::sched_yield();
        continue;
      }
      for (uint64_t count = 1 + random() % batch.chains().size(); count != 0;
           --count) {
        DescriptorChain& chain = batch.chains()[pushed++];
        for (const ChainElement& element : chain.writable()) {
          element.span.Fill(0, element.span.size(), 0x5a);
        }
        queue->Push(chain, chain.writable_bytes());
        if (random() % 4 == 0) queue->Expose();
      }
      (void)queue->Publish();
      batch.Release(pushed);
      pushed = 0;
    }
    _exit(kQueueBroken);
  }

  // Offers what has room.
  void Offer() {
    while (true) {
      FakeDriver::ChainBuilder builder = driver_.Chain();
      for (uint64_t i = random_() % 3; i != 0; --i) builder.Readable("request");
      const uint32_t writable = static_cast<uint32_t>(random_() % 3);
      for (uint32_t i = 0; i < writable; ++i) builder.Writable(8 + i);
      if (writable == 0) builder.Readable("x");
      const std::optional<uint16_t> id = builder.Offer();
      if (!id.has_value()) return;
      ASSERT_TRUE(in_flight_.emplace(*id, offered_++).second);
    }
  }
  // What was used of the `most` oldest.
  uint64_t TakeUsed() {
    uint64_t count = 0;
    while (const std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
      const auto buffer = in_flight_.find(used->id);
      EXPECT_TRUE(buffer != in_flight_.end()) << used->id;
      if (buffer == in_flight_.end()) return count;
      EXPECT_EQ(buffer->second, returned_++) << "not in order";
      in_flight_.erase(buffer);
      EXPECT_EQ(used->len, used->writable_bytes);
      EXPECT_EQ(used->all, std::string(used->writable_bytes, 0x5a));
      ++count;
    }
    EXPECT_FALSE(driver_.broken());
    return count;
  }

  bool Died(pid_t device, int& status, int flags) {
    return ::waitpid(device, &status, flags) == device;
  }

  memory::GuestRam ram_ =
      memory::GuestRam::Create({.size = kRamBytes, .shared = true}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = GetParam().packed,
                      .indirect = GetParam().indirect,
                      .in_order = GetParam().in_order,
                      .size = GetParam().size,
                      .bytes = 0x100000}};
  // Shared with the device.
  bool* started_ =
      static_cast<bool*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::map<uint16_t, uint64_t> in_flight_;  // By id: the how manieth.
  uint64_t offered_ = 0;
  uint64_t returned_ = 0;
  std::mt19937_64 random_{7};
};

TEST_P(SigkillTest, NoBufferIsLostAndNoneIsUsedTwice) {
  bool first = true;
  for (int life = 0; life < 60 && !HasFailure(); ++life) {
    Offer();
    const uint64_t seed = random_();
    const pid_t device = ::fork();
    ASSERT_GE(device, 0);
    if (device == 0) ServeForever(first, seed);
    // It serves this many buffers at least, and is then killed wherever it is.
    // Now and then it is killed before it has begun.
    uint64_t wanted = random_() % 3 == 0 ? 0 : random_() % 200;
    const int64_t end =
        MonotonicNanoseconds() + static_cast<int64_t>(random_() % 2000000);
    int status = 0;
    while (wanted != 0 || MonotonicNanoseconds() < end) {
      ASSERT_FALSE(Died(device, status, WNOHANG))
          << "exit " << WEXITSTATUS(status) << " in life " << life;
      const uint64_t count = TakeUsed();
      wanted -= std::min(wanted, count);
      Offer();
      if (HasFailure()) break;
      if (count == 0) ::sched_yield();
    }
    ASSERT_EQ(::kill(device, SIGKILL), 0);
    ASSERT_TRUE(Died(device, status, 0));
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    if (random_() % 2 == 0) TakeUsed();
    first = first && !*started_;
  }
  // A last one serves all that there is.
  const pid_t device = ::fork();
  ASSERT_GE(device, 0);
  if (device == 0) ServeForever(first, 0);
  int status = 0;
  while (!in_flight_.empty() && !HasFailure()) {
    ASSERT_FALSE(Died(device, status, WNOHANG)) << WEXITSTATUS(status);
    if (TakeUsed() == 0) ::sched_yield();
  }
  ASSERT_EQ(::kill(device, SIGKILL), 0);
  ASSERT_TRUE(Died(device, status, 0));
  EXPECT_GT(returned_, 1000u);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SigkillTest,
    testing::Values(Case{true, 256, false, false}, Case{true, 256, true, true},
                    Case{true, 37, true, false}, Case{true, 5, false, true},
                    Case{false, 256, false, true},
                    Case{false, 256, true, false}, Case{false, 8, true, true},
                    Case{false, 4, false, false}),
    Name);

}  // namespace
}  // namespace annulus::virtio
