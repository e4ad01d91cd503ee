// The device side of both ring formats against a driver that writes whatever it
// likes, wherever it likes, at any time.
//
// Input: one byte of features, one of the queue size, then operations: a byte
// that selects, and its arguments. Guest RAM is exactly as large as a heap
// block, so that a sanitizer sees each access beyond it. What the device
// writes, how much it has in flight and that a failed queue stays failed is
// checked after each of its operations.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRamBytes = 0x10000;
constexpr size_t kHeld = 16;  // Chains that the device keeps for a while.

// Takes the input apart; zeros after its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  template <typename T>
  T Take() {
    T value = 0;
    const size_t bytes = std::min(sizeof(T), size_ - std::min(at_, size_));
    if (bytes != 0) std::memcpy(&value, data_ + at_, bytes);
    at_ += sizeof(T);
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

class Machine {
 public:
  Machine(const memory::GuestMemory& memory, const QueueConfig& config,
          Virtqueue queue)
      : memory_(memory),
        config_(config),
        ring_(memory),
        queue_(std::move(queue)),
        expected_(kRamBytes) {
    for (size_t i = 0; i < kHeld; ++i) chains_.emplace_back(config.size);
  }

  void Run(Input& input) {
    while (!input.empty()) {
      const uint8_t operation = input.Take<uint8_t>();
      if ((operation & 7) < 4) {
        Drive(operation, input);
        continue;
      }
      CopyRam(expected_);
      const Violation before = queue_.violation();
      Serve(operation, input);
      CheckRam();
      // The first violation stays, unless somebody else's state was taken up.
      const bool restored = (operation & 15) == 13;
      ANNULUS_CHECK(before == Violation::kNone || restored ||
                    queue_.violation() == before);
      CheckInFlight();
    }
  }

 private:
  // The driver writes.
  void Drive(uint8_t operation, Input& input) {
    switch (operation & 7) {
      case 0:  // One word of the rings, or of anything else.
        ring_.Put(input.Take<uint16_t>(), input.Take<uint16_t>());
        break;
      case 1: {  // A descriptor of the ring; flags decide the rest.
        const uint8_t index = input.Take<uint8_t>();
        const uint64_t addr = input.Take<uint32_t>();
        const uint32_t len = input.Take<uint16_t>();
        const uint16_t third = input.Take<uint16_t>();
        const uint16_t fourth = input.Take<uint16_t>();
        ring_.Packed(index, {addr, len, third, fourth});
        break;
      }
      case 2:  // A descriptor with 64 bits of address and 32 of length.
        ring_.Put(kRawDescriptors + 16 * uint64_t{input.Take<uint8_t>()},
                  input.Take<uint64_t>());
        ring_.Put(kRawDescriptors + 8 + 16 * uint64_t{input.Take<uint8_t>()},
                  input.Take<uint32_t>());
        break;
      case 3:  // The available index of a split ring.
        ring_.AvailableIndex(input.Take<uint16_t>());
        break;
    }
  }

  // The device does something.
  void Serve(uint8_t operation, Input& input) {
    const bool other = (operation & 8) != 0;
    DescriptorChain& chain = chains_[(operation >> 4) % kHeld];
    switch (operation & 7) {
      case 4:
        if (other) {
          Take(1 + operation / 16);
        } else if (!chain.pending()) {
          const bool was_ok = queue_.ok();
          if (queue_.Pop(chain)) {
            ANNULUS_CHECK(was_ok && chain.pending());
            popped_.push_back(&chain);
            Inspect(chain);
          } else {
            ANNULUS_CHECK(!chain.pending());
            ANNULUS_CHECK(chain.readable().empty() && chain.writable().empty());
          }
        }
        break;
      case 5:
        if (other) {
          SaveAndRestore(operation, input);
        } else if (!popped_.empty()) {
          // Any of them, but in order where that was promised.
          const size_t index = config_.features.Has(kFeatureInOrder)
                                   ? 0
                                   : (operation >> 4) % popped_.size();
          DescriptorChain* const pushed = popped_[index];
          Write(*pushed);
          queue_.Push(*pushed, input.Take<uint32_t>());
          ANNULUS_CHECK(!pushed->pending());
          popped_.erase(popped_.begin() + static_cast<std::ptrdiff_t>(index));
          unpublished_ = true;
        }
        break;
      case 6:
        if (other) {
          queue_.Expose();
        } else {
          (void)queue_.Publish();
          ANNULUS_CHECK(!queue_.Publish());  // Nothing is left to tell.
        }
        unpublished_ = false;
        break;
      case 7:
        if (other) {
          (void)queue_.EnableNotifications();
        } else {
          queue_.DisableNotifications();
        }
        break;
    }
  }

  // The batch is kept until all of its chains are pushed.
  void Take(uint32_t most) {
    if (batch_ != nullptr) {
      for (const DescriptorChain& chain : batch_->chains()) {
        if (chain.pending()) return;
      }
    }
    batch_ =
        std::make_unique<ChainBatch>(static_cast<uint16_t>(most), config_.size);
    const bool was_ok = queue_.ok();
    const uint32_t count = queue_.Take(*batch_);
    ANNULUS_CHECK(count == batch_->chains().size() && count <= most);
    ANNULUS_CHECK(was_ok || count == 0);
    for (DescriptorChain& chain : batch_->chains()) {
      ANNULUS_CHECK(chain.pending());
      popped_.push_back(&chain);
      Inspect(chain);
    }
  }

  // With the queue's own state, or with whatever somebody made of it.
  void SaveAndRestore(uint8_t operation, Input& input) {
    if (unpublished_) return;
    QueueState state = queue_.Save();
    const bool honest = (operation & 16) == 0;
    if (!honest) {
      state.next_available = input.Take<uint16_t>();
      state.next_used = input.Take<uint16_t>();
      const uint8_t bits = input.Take<uint8_t>();
      state.available_wrap = (bits & 1) != 0;
      state.used_wrap = (bits & 2) != 0;
      state.violation = static_cast<Violation>(bits >> 2);
    }
    absl::StatusOr<Virtqueue> restored =
        Virtqueue::Create(memory_, config_, state);
    ANNULUS_CHECK(restored.ok() || !honest);
    if (!restored.ok()) return;
    ANNULUS_CHECK(restored->violation() == state.violation);
    std::vector<DescriptorChain> chains;
    for (const DescriptorChain* popped : popped_) {
      ChainState saved = SaveChain(*popped);
      if ((operation & 32) != 0)
        saved.ring_descriptors = input.Take<uint16_t>();
      if ((operation & 64) != 0) {
        saved.writable.push_back({.address = input.Take<uint64_t>(),
                                  .bytes = input.Take<uint32_t>()});
      }
      DescriptorChain chain(config_.size);
      const absl::Status resumed = restored->ResumeChain(saved, chain);
      ANNULUS_CHECK(resumed.ok() || !honest || (operation & 96) != 0);
      ANNULUS_CHECK(resumed.ok() == chain.pending());
      // Who cannot take up all of them does not take up the queue.
      if (!resumed.ok()) return;
      Inspect(chain);
      chains.push_back(std::move(chain));
    }
    ANNULUS_CHECK(restored->AllResumed() || !honest || (operation & 32) != 0);
    if (!restored->AllResumed()) return;
    queue_ = *std::move(restored);
    restored_ = std::move(chains);
    batch_ = nullptr;
    popped_.clear();
    for (DescriptorChain& chain : chains_)
      chain = DescriptorChain(config_.size);
    for (DescriptorChain& chain : restored_) popped_.push_back(&chain);
    // One that came from elsewhere may have any number in flight.
    if (!honest) all_known_ = false;
  }

  // Never more in flight than there are descriptors.
  void CheckInFlight() const {
    if (!all_known_) return;
    size_t descriptors = 0;
    for (const DescriptorChain* chain : popped_) {
      descriptors += queue_.packed() ? chain->ring_descriptors() : 1;
    }
    ANNULUS_CHECK(descriptors <= config_.size);
  }

  // Touches all that the queue said is there.
  void Inspect(const DescriptorChain& chain) const {
    uint64_t readable = 0;
    uint64_t writable = 0;
    for (const ChainElement& element : chain.readable()) {
      ANNULUS_CHECK(!element.span.empty());
      uint8_t ends[2];
      element.span.CopyOut(0, absl::MakeSpan(ends).first(1));
      element.span.CopyOut(element.span.size() - 1,
                           absl::MakeSpan(ends).last(1));
      readable += element.span.size();
    }
    for (const ChainElement& element : chain.writable()) {
      ANNULUS_CHECK(!element.span.empty());
      ANNULUS_CHECK(element.address.value() < kRamBytes &&
                    element.span.size() <= kRamBytes - element.address.value());
      writable += element.span.size();
    }
    ANNULUS_CHECK(readable == chain.readable_bytes());
    ANNULUS_CHECK(writable == chain.writable_bytes());
    ANNULUS_CHECK(readable + writable <= 0xffffffff);
    ANNULUS_CHECK(chain.readable().size() + chain.writable().size() <=
                  config_.size);
  }

  // The first and last byte of each writable element; and in expected_.
  void Write(const DescriptorChain& chain) {
    for (const ChainElement& element : chain.writable()) {
      for (const size_t at : {size_t{0}, element.span.size() - 1}) {
        element.span.Fill(at, 1, 0x5a);
        expected_[element.address.value() + at] = 0x5a;
      }
    }
  }

  void CopyRam(std::vector<uint8_t>& out) const {
    ANNULUS_CHECK(memory_.Read(memory::GuestAddress(0), absl::MakeSpan(out)));
  }

  // A device writes to the area that is its own, in a packed ring to the
  // descriptors too, and to writable elements: those are in expected_ already.
  void CheckRam() {
    std::vector<uint8_t> now(kRamBytes);
    CopyRam(now);
    if (now == expected_) return;
    const uint32_t size = config_.size;
    const bool packed = queue_.packed();
    const uint64_t device = config_.device.value();
    const uint64_t device_end =
        device + (packed ? 4 : SplitUsedRingBytes(size));
    const uint64_t ring = config_.descriptor.value();
    for (uint64_t at = 0; at < kRamBytes; ++at) {
      if (now[at] == expected_[at]) continue;
      const bool in_device = at >= device && at < device_end;
      // Length, id and flags; never the address.
      const bool in_ring = packed && at >= ring && at < ring + 16 * size &&
                           (at - ring) % 16 >= 8;
      ANNULUS_CHECK(in_device || in_ring);
    }
  }

  const memory::GuestMemory& memory_;
  const QueueConfig config_;
  RawRing ring_;
  Virtqueue queue_;
  std::vector<DescriptorChain> chains_;
  std::vector<DescriptorChain> restored_;
  std::unique_ptr<ChainBatch> batch_;
  std::vector<DescriptorChain*> popped_;  // Oldest first, of the three above.
  bool unpublished_ = false;
  bool all_known_ = true;
  std::vector<uint8_t> expected_;  // RAM, but for what the device may write.
};

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus;          // NOLINT(google-build-using-namespace)
  using namespace annulus::virtio;  // NOLINT(google-build-using-namespace)
  const auto ram = std::make_unique<uint64_t[]>(kRamBytes / sizeof(uint64_t));
  memory::DirtyLog dirty(kRamBytes);
  memory::GuestRegion region;
  region.size = kRamBytes;
  region.host = reinterpret_cast<uint8_t*>(ram.get());
  const memory::GuestMemory memory =
      memory::GuestMemory::Create({region}, &dirty).value();

  Input input(data, size);
  const uint8_t bits = input.Take<uint8_t>();
  FeatureSet features;
  if ((bits & 1) != 0) features.Add(kFeatureRingPacked);
  if ((bits & 2) != 0) features.Add(kFeatureEventIdx);
  if ((bits & 4) != 0) features.Add(kFeatureIndirectDesc);
  if ((bits & 32) != 0) features.Add(kFeatureInOrder);
  uint16_t queue_size = input.Take<uint8_t>();
  if ((bits & 8) != 0) queue_size = 256;
  QueueConfig config = RawConfig(queue_size, features);
  if ((bits & 16) != 0) {
    config.device = memory::GuestAddress(input.Take<uint32_t>());
  }
  absl::StatusOr<Virtqueue> queue = Virtqueue::Create(memory, config);
  ANNULUS_CHECK(queue.ok() || queue_size == 0 || (bits & 1) == 0 ||
                (bits & 16) != 0);
  if (!queue.ok()) return 0;
  Machine(memory, config, *std::move(queue)).Run(input);
  return 0;
}
