#include "devices/virtio/net/header_split/header_queue.h"

#include <cstddef>

#include "absl/base/optimization.h"
#include "base/check.h"

namespace annulus::virtio {
namespace {

struct Mapping {
  memory::GuestSpan slots;
  memory::GuestSpan tail;
};

std::optional<Mapping> MapQueue(const HeaderQueueConfig& config,
                                const memory::GuestMemory& memory) {
  const std::optional<memory::GuestSpan> slots =
      memory.Map(config.base, uint64_t{config.slot_bytes} << config.log_slots);
  const std::optional<memory::GuestSpan> tail =
      memory.Map(config.tail, sizeof(uint16_t));
  if (!slots.has_value() || !tail.has_value()) return std::nullopt;
  return Mapping{*slots, *tail};
}

}  // namespace

bool HeaderQueue::IsUsable(const HeaderQueueConfig& config,
                           const memory::GuestMemory& memory) {
  return config.slot_bytes >= kMinHeaderSlotBytes &&
         config.slot_bytes <= kMaxHeaderSlotBytes &&
         config.slot_bytes % kHeaderSlotAlignment == 0 &&
         config.log_slots <= kMaxHeaderQueueLog &&
         config.base.value() % kHeaderSlotAlignment == 0 &&
         // One access of the driver's index is never torn.
         config.tail.value() % sizeof(uint16_t) == 0 &&
         MapQueue(config, memory).has_value();
}

std::optional<HeaderSlots> HeaderSlots::Map(HeaderQueue& queue,
                                            const memory::GuestMemory& memory) {
  const std::optional<Mapping> mapping = MapQueue(queue.config(), memory);
  if (!mapping.has_value()) return std::nullopt;
  return HeaderSlots(queue, memory, mapping->slots, mapping->tail);
}

// Hot.
HeaderSlots::Claim HeaderSlots::ClaimSlot() {
  if (queue_->failed_.load(std::memory_order_relaxed)) {
    return {Result::kFailed};
  }
  uint64_t head = queue_->head_.load(std::memory_order_acquire);
  for (;;) {
    // Acquire: pairs with the driver's release, after it has read the headers
    // of the slots that it gives back.
    const uint16_t tail = tail_.Load<uint16_t>(0, std::memory_order_acquire);
    const uint16_t available = static_cast<uint16_t>(tail - head);
    if (available == 0) return {Result::kNone};
    if (ABSL_PREDICT_FALSE(available > queue_->slots())) {
      // Unless other workers went on meanwhile, and the driver after them: what
      // they claimed before it gave slots back is seen by now.
      const uint64_t newer = queue_->head_.load(std::memory_order_acquire);
      if (newer != head) {
        head = newer;
        continue;
      }
      // Of several workers only one says so.
      const bool failed =
          queue_->failed_.exchange(true, std::memory_order_relaxed);
      return {failed ? Result::kFailed : Result::kBroken};
    }
    if (queue_->head_.compare_exchange_weak(head, head + 1,
                                            std::memory_order_release,
                                            std::memory_order_acquire)) {
      return {Result::kClaimed, static_cast<uint16_t>(head)};
    }
  }
}

// Hot.
void HeaderSlots::Write(uint16_t index, absl::Span<const uint8_t> header) {
  const HeaderQueueConfig& config = queue_->config();
  ANNULUS_DCHECK(header.size() <= config.slot_bytes);
  const size_t offset =
      size_t{index & (queue_->slots() - 1)} * config.slot_bytes;
  slots_.CopyIn(offset, header);
  if (memory_->logs_writes()) {
    memory_->MarkDirty(memory::GuestAddress(config.base.value() + offset),
                       header.size());
  }
}

}  // namespace annulus::virtio
