// The device side of both ring formats against a driver that writes whatever it
// likes, wherever it likes, at any time.
//
// Input: one byte of features, one of the queue size, then operations: a byte
// that selects, and its arguments. Guest RAM is exactly as large as a heap
// block, so that a sanitizer sees each access beyond it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRamBytes = 0x10000;
constexpr size_t kHeld = 4;  // Chains that the device keeps for a while.

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
  explicit Machine(const memory::GuestMemory& memory) : ring_(memory) {
    for (size_t i = 0; i < kHeld; ++i) chains_.emplace_back(256);
  }

  void Run(Virtqueue& queue, Input& input) {
    while (!input.empty()) Step(queue, input);
  }

 private:
  void Step(Virtqueue& queue, Input& input) {
    const uint8_t operation = input.Take<uint8_t>();
    DescriptorChain& chain = chains_[(operation >> 4) % kHeld];
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
      case 4:
        if (!chain.pending() && queue.Pop(chain)) Inspect(chain);
        break;
      case 5:
        if (chain.pending()) queue.Push(chain, input.Take<uint32_t>());
        break;
      case 6:
        (void)queue.Publish();
        break;
      case 7:
        if ((operation & 8) != 0) {
          (void)queue.EnableNotifications();
        } else {
          queue.DisableNotifications();
        }
        break;
    }
  }

  // Touches all that the queue said is there.
  static void Inspect(const DescriptorChain& chain) {
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
      element.span.Fill(0, 1, 0x5a);
      element.span.Fill(element.span.size() - 1, 1, 0x5a);
      writable += element.span.size();
    }
    ANNULUS_CHECK(readable == chain.readable_bytes());
    ANNULUS_CHECK(writable == chain.writable_bytes());
    ANNULUS_CHECK(readable + writable <= 0xffffffff);
    ANNULUS_CHECK(chain.readable().size() + chain.writable().size() <= 256);
  }

  RawRing ring_;
  std::vector<DescriptorChain> chains_;
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
  uint16_t queue_size = input.Take<uint8_t>();
  if ((bits & 8) != 0) queue_size = 256;
  QueueConfig config = RawConfig(queue_size, features);
  if ((bits & 16) != 0) {
    config.device = memory::GuestAddress(input.Take<uint32_t>());
  }
  absl::StatusOr<Virtqueue> queue = Virtqueue::Create(memory, config);
  if (!queue.ok()) return 0;
  Machine(memory).Run(*queue, input);
  return 0;
}
