#ifndef DEVICES_VIRTIO_QUEUE_INFLIGHT_INFLIGHT_REGION_H_
#define DEVICES_VIRTIO_QUEUE_INFLIGHT_INFLIGHT_REGION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "devices/virtio/queue/event_suppression.h"
#include "memory/guest_span.h"

// What a queue has in flight, in memory that outlives the process which serves
// it: "Inflight I/O tracking" of the vhost-user protocol, version 1 of its
// format. The structures are the protocol's; everything is little-endian.
//
// A region of zeroes is one that nobody has used: a queue that begins to note
// in it initializes it.
//
// Trust: whoever else has the memory may write anything into it.

namespace annulus::virtio {

// One for each descriptor of a split queue's table.
struct DescStateSplit {
  uint8_t inflight = 0;  // Popped, and not used. Of heads only.
  uint8_t padding[5] = {};
  uint16_t next = 0;     // Links the heads of the last batch of used buffers.
  uint64_t counter = 0;  // Tells the order in which heads were popped.
};
static_assert(offsetof(DescStateSplit, next) == 6);
static_assert(offsetof(DescStateSplit, counter) == 8);
static_assert(sizeof(DescStateSplit) == 16);

struct QueueRegionSplit {
  uint64_t features = 0;         // None are defined.
  uint16_t version = 0;          // kInflightVersion; 0: not initialized.
  uint16_t desc_num = 0;         // The queue size.
  uint16_t last_batch_head = 0;  // Of the list of the last batch.
  uint16_t used_idx = 0;         // The used ring's idx up to which all is told.
  // DescStateSplit desc[desc_num];
};
static_assert(offsetof(QueueRegionSplit, version) == 8);
static_assert(offsetof(QueueRegionSplit, last_batch_head) == 12);
static_assert(offsetof(QueueRegionSplit, used_idx) == 14);
static_assert(sizeof(QueueRegionSplit) == 16);

// As many as a packed ring has descriptors; each keeps a descriptor that was
// popped, for used descriptors overwrite those in the ring.
struct DescStatePacked {
  uint8_t inflight = 0;  // Popped, and not used. Of heads only, as the rest
  uint8_t padding = 0;   // that says so.
  uint16_t next = 0;     // The next entry of the buffer, or of the free list.
  uint16_t last = 0;     // The buffer's last entry. Heads.
  uint16_t num = 0;      // How many entries the buffer has. Heads.
  uint64_t counter = 0;  // Tells the order of popping. Heads.
  uint16_t id = 0;       // The descriptor as the driver wrote it: this and the
  uint16_t flags = 0;    // fields that follow.
  uint32_t len = 0;
  uint64_t addr = 0;
};
static_assert(offsetof(DescStatePacked, next) == 2);
static_assert(offsetof(DescStatePacked, last) == 4);
static_assert(offsetof(DescStatePacked, num) == 6);
static_assert(offsetof(DescStatePacked, counter) == 8);
static_assert(offsetof(DescStatePacked, id) == 16);
static_assert(offsetof(DescStatePacked, flags) == 18);
static_assert(offsetof(DescStatePacked, len) == 20);
static_assert(offsetof(DescStatePacked, addr) == 24);
static_assert(sizeof(DescStatePacked) == 32);

struct QueueRegionPacked {
  uint64_t features = 0;  // None are defined.
  uint16_t version = 0;   // kInflightVersion; 0: not initialized.
  uint16_t desc_num = 0;  // The queue size.
  // The free list and the place of the next used descriptor: after the batch
  // that is being used, and ("old") before it. desc_num: the list is empty.
  uint16_t free_head = 0;
  uint16_t old_free_head = 0;
  uint16_t used_idx = 0;
  uint16_t old_used_idx = 0;
  uint8_t used_wrap_counter = 0;
  uint8_t old_used_wrap_counter = 0;
  uint8_t padding[7] = {};
  // DescStatePacked desc[desc_num];
};
static_assert(offsetof(QueueRegionPacked, version) == 8);
static_assert(offsetof(QueueRegionPacked, free_head) == 12);
static_assert(offsetof(QueueRegionPacked, old_free_head) == 14);
static_assert(offsetof(QueueRegionPacked, used_idx) == 16);
static_assert(offsetof(QueueRegionPacked, old_used_idx) == 18);
static_assert(offsetof(QueueRegionPacked, used_wrap_counter) == 20);
static_assert(offsetof(QueueRegionPacked, old_used_wrap_counter) == 21);
static_assert(sizeof(QueueRegionPacked) == 32);

inline constexpr uint16_t kInflightVersion = 1;

// Regions of several queues lie behind each other, each as long as this.
inline constexpr size_t kInflightAlignment = 64;
constexpr size_t InflightRegionBytes(bool packed, uint16_t size) {
  const size_t bytes =
      packed ? sizeof(QueueRegionPacked) + size * sizeof(DescStatePacked)
             : sizeof(QueueRegionSplit) + size * sizeof(DescStateSplit);
  return (bytes + kInflightAlignment - 1) / kInflightAlignment *
         kInflightAlignment;
}

// Cold. InvalidArgument if the region of such a queue does not fit into
// `region`, or that is not aligned to 8.
absl::Status CheckInflightRegion(const memory::GuestSpan& region, bool packed,
                                 uint16_t size);

// The fields of both headers that are written at a time lie in one aligned
// word, so that a process that is killed leaves all of them or none.
struct InflightSplitHeader {
  uint16_t version = 0;
  uint16_t desc_num = 0;
  uint16_t last_batch_head = 0;
  uint16_t used_idx = 0;
};
struct InflightPackedHeader {
  uint16_t version = 0;
  uint16_t desc_num = 0;
  uint16_t free_head = 0;
  uint16_t old_free_head = 0;
};
struct InflightPackedUsed {
  PackedPosition used;
  PackedPosition old_used;
};

// A region that is long enough, as both formats' code accesses it. Indices are
// trusted, values are not. Stores stay in the order in which they are written
// down, and so do those to the ring before and after them: see Fence().
//
// Threads: a value type.
class InflightRegion {
 public:
  InflightRegion() = default;
  explicit InflightRegion(const memory::GuestSpan& span) : span_(span) {}

  uint64_t features() const { return Load<uint64_t>(0); }
  InflightSplitHeader split_header() const;
  void Store(const InflightSplitHeader& header) const;
  InflightPackedHeader packed_header() const;
  void Store(const InflightPackedHeader& header) const;
  // False where an index is not below `size`, or a wrap counter not 0 or 1.
  [[nodiscard]] bool LoadUsed(uint16_t size, InflightPackedUsed& used) const;
  void Store(const InflightPackedUsed& used) const;
  // Nothing in the region is valid until a header is stored.
  void Invalidate() const;

  template <typename T>
  T Load(size_t offset) const {
    return span_.Load<T>(offset, std::memory_order_relaxed);
  }
  template <typename T>
  void Store(size_t offset, T value) const {
    Fence();
    span_.Store<T>(offset, value, std::memory_order_relaxed);
    Fence();
  }

  static size_t Split(uint16_t index) {
    return sizeof(QueueRegionSplit) + index * sizeof(DescStateSplit);
  }
  static size_t Packed(uint16_t index) {
    return sizeof(QueueRegionPacked) + index * sizeof(DescStatePacked);
  }

  // Cold. Sets the inflight field of all entries to 0, that of the one popped
  // last first: whenever this is cut short, what is left is still the beginning
  // of what was there.
  void ClearInFlight(bool packed, uint16_t size) const;

  // No fence of the processor is needed: whoever reads does so after this
  // process is dead, and what that did last, it did in the order of its
  // instructions. Only the compiler is to keep that.
  static void Fence() { std::atomic_signal_fence(std::memory_order_seq_cst); }

 private:
  memory::GuestSpan span_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_INFLIGHT_INFLIGHT_REGION_H_
