// The recovery of a queue from rings and notes into which anybody may have
// written anything.
//
// Input: one byte of features, one of the queue size; how many operations
// follow, and these, one byte each, by which a driver and a device make true
// rings and notes; then four bytes for each place that is overwritten: where
// (two bytes) and with what.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/inflight/recover_queue.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRamBytes = 0x8000;
constexpr uint16_t kRingBytes = 0x800;  // Where the rings lie, at the most.
constexpr uint16_t kMaxSize = 16;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  uint8_t Byte() { return empty() ? 0 : data_[at_++]; }
  uint16_t Word() {
    const uint8_t low = Byte();
    return static_cast<uint16_t>(low | Byte() << 8);
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

void Run(Input& input, const memory::GuestMemory& memory,
         const FakeDriverOptions& options) {
  FakeDriver driver(memory, options);
  const size_t bytes = InflightRegionBytes(options.packed, options.size);
  // Its end is that of a heap block: a sanitizer sees what goes beyond.
  const auto words = std::make_unique<uint64_t[]>(bytes / sizeof(uint64_t));
  const memory::GuestSpan region(
      static_cast<uint8_t*>(static_cast<void*>(words.get())), bytes);
  {
    Virtqueue queue = Virtqueue::Create(memory, driver.config()).value();
    InflightNotes notes;
    ANNULUS_CHECK(queue.NoteInflight(region, notes).ok());
    std::deque<DescriptorChain> chains;
    for (uint8_t count = input.Byte(); count != 0; --count) {
      const uint8_t operation = input.Byte();
      switch (operation % 8) {
        case 0:
        case 1:
          (void)driver.Chain().Readable("x").Offer();
          break;
        case 2:
          (void)driver.Chain()
              .Readable("x")
              .Writable(operation / 8u + 1)
              .Offer();
          break;
        case 3:
        case 4:
          chains.emplace_back(options.size);
          if (!queue.Pop(chains.back())) chains.pop_back();
          break;
        case 5:
          if (chains.empty()) break;
          queue.Push(chains.front(), chains.front().writable_bytes());
          chains.pop_front();
          break;
        case 6:
          queue.Expose();
          break;
        default:
          (void)driver.GetUsed();
      }
    }
  }
  bool true_notes = true;
  while (!input.empty()) {
    const uint16_t where = input.Word();
    const uint16_t value = input.Word();
    true_notes = false;
    const uint8_t both[] = {static_cast<uint8_t>(value),
                            static_cast<uint8_t>(value >> 8)};
    const size_t at = where / 2 * size_t{2};
    if (at < kRingBytes) {
      (void)memory.Write(memory::GuestAddress(at), both);
    } else {
      region.CopyIn((at - kRingBytes) % bytes, both);
    }
  }
  const std::optional<QueueState> state =
      RecoverQueue(memory, driver.config(), region).value();
  ANNULUS_CHECK(state.has_value() || !true_notes);
  if (!state.has_value()) return;
  ANNULUS_CHECK(RecoverQueue(memory, driver.config(), region).value() ==
                    state ||
                !true_notes);
  Virtqueue queue = Virtqueue::Create(memory, driver.config(), *state).value();
  InflightNotes notes;
  ANNULUS_CHECK(queue.NoteInflight(region, notes).ok());
  // No more than a queue has before something is used.
  std::deque<DescriptorChain> chains;
  do {
    chains.emplace_back(options.size);
    ANNULUS_CHECK(chains.size() <= options.size + 1u);
  } while (queue.Pop(chains.back()));
  ANNULUS_CHECK(queue.ok() || !true_notes);
  chains.pop_back();
  for (DescriptorChain& chain : chains) queue.Push(chain, 0);
  queue.Expose();
  if (!true_notes) return;
  while (driver.GetUsed().has_value()) {
  }
  ANNULUS_CHECK(!driver.broken());
  ANNULUS_CHECK(driver.free_descriptors() == options.size);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus;          // NOLINT(google-build-using-namespace)
  using namespace annulus::virtio;  // NOLINT(google-build-using-namespace)
  const auto ram = std::make_unique<uint64_t[]>(kRamBytes / sizeof(uint64_t));
  memory::DirtyLog dirty(kRamBytes);
  memory::GuestRegion region;
  region.size = kRamBytes;
  region.host = static_cast<uint8_t*>(static_cast<void*>(ram.get()));
  const memory::GuestMemory memory =
      memory::GuestMemory::Create({region}, &dirty).value();
  Input input(data, size);
  const uint8_t bits = input.Byte();
  FakeDriverOptions options;
  options.packed = (bits & 1) != 0;
  options.event_idx = (bits & 2) != 0;
  options.indirect = false;
  options.in_order = (bits & 4) != 0;
  options.size = static_cast<uint16_t>(1 + input.Byte() % kMaxSize);
  if (!options.packed) {
    while ((options.size & (options.size - 1)) != 0) --options.size;
  }
  options.base = memory::GuestAddress(0);
  options.bytes = kRamBytes;
  Run(input, memory, options);
  return 0;
}
