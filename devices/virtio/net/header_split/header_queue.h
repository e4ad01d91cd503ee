#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_QUEUE_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/net_header_split.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// What the driver says of a header queue when it creates one.
struct HeaderQueueConfig {
  uint16_t id = 0;
  uint16_t slot_bytes = kDefaultHeaderSlotBytes;
  uint16_t log_slots = 0;
  memory::GuestAddress base;  // Of the slots.
  memory::GuestAddress tail;  // Of a le16.
  uint64_t types = 0;
  uint32_t threshold = 0;
};

// Header-split receive, method Q: a ring of small buffers in guest memory, all
// of one size, that take the headers of split packets in turn. The driver makes
// slots available by raising a free-running index in its memory, `tail`;
// nobody is notified. The device's own index, the head, is here.
//
// Several receive queues may share one; each maps it with HeaderSlots.
//
// Threads: thread-safe.
// Trust: `tail` and slots are guest-controlled.
class HeaderQueue {
 public:
  // REQUIRES: IsUsable().
  explicit HeaderQueue(const HeaderQueueConfig& config) : config_(config) {}

  HeaderQueue(const HeaderQueue&) = delete;
  HeaderQueue& operator=(const HeaderQueue&) = delete;

  // Cold. Whether sizes and addresses are as they must be, and all of the queue
  // lies in RAM. (`id`, `types` and `threshold` are not looked at.)
  static bool IsUsable(const HeaderQueueConfig& config,
                       const memory::GuestMemory& memory);

  const HeaderQueueConfig& config() const { return config_; }
  uint32_t slots() const { return uint32_t{1} << config_.log_slots; }

 private:
  friend class HeaderSlots;

  const HeaderQueueConfig config_;
  // Free-running; the lowest 16 bits are the index. Raised with release, read
  // with acquire: whoever sees an index sees the driver's, too, that let
  // another worker claim it, or a newer one. With an older one the slots
  // between would look like the driver's mistake. Wider than the index, so that
  // a worker that slept while the others claimed 65536 slots does not take the
  // index for the one that it compared the driver's with.
  std::atomic<uint64_t> head_{0};
  // The driver's index cannot be; nothing is split any more. Relaxed: it guards
  // no other memory.
  std::atomic<bool> failed_{false};
};

// One worker's view of a header queue.
//
// Threads: thread-compatible; several views of one queue may be used at once.
// Trust: as HeaderQueue.
// Allocation: none.
class HeaderSlots {
 public:
  enum class Result : uint8_t {
    kClaimed,
    kNone,    // The driver has made none available.
    kFailed,  // The queue is out of use, as of an earlier call.
    kBroken,  // The driver's index is impossible: from now on kFailed.
  };
  struct Claim {
    Result result;
    uint16_t index = 0;  // kClaimed: free-running.
  };

  // nullopt where the queue does not lie in this memory, which outlives the
  // view as the queue does.
  static std::optional<HeaderSlots> Map(
      HeaderQueue& queue ABSL_ATTRIBUTE_LIFETIME_BOUND,
      const memory::GuestMemory& memory ABSL_ATTRIBUTE_LIFETIME_BOUND);

  const HeaderQueueConfig& config() const { return queue_->config(); }

  // Hot. Takes the next slot.
  Claim ClaimSlot();

  // Hot. REQUIRES: slot `index` was claimed, and there are at most slot_bytes.
  // The driver sees it with the used descriptor that it is told of.
  void Write(uint16_t index, absl::Span<const uint8_t> header);

 private:
  HeaderSlots(HeaderQueue& queue, const memory::GuestMemory& memory,
              memory::GuestSpan slots, memory::GuestSpan tail)
      : queue_(&queue), memory_(&memory), slots_(slots), tail_(tail) {}

  HeaderQueue* queue_;
  const memory::GuestMemory* memory_;  // For its dirty log.
  memory::GuestSpan slots_;
  memory::GuestSpan tail_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_QUEUE_H_
