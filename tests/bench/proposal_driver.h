#ifndef TESTS_BENCH_PROPOSAL_DRIVER_H_
#define TESTS_BENCH_PROPOSAL_DRIVER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {

// Where a ProposalDriver finds its memory. All of it outlives the driver.
struct ProposalDriverConfig {
  ProposalDescriptor* ring = nullptr;     // Aligned to 16.
  ProposalEvent* driver_event = nullptr;  // Aligned to 4.
  ProposalEvent* device_event = nullptr;  // Aligned to 4.
  uint16_t size = 0;                      // Descriptors, 1 to 32768.
  bool event_idx = false;                 // Both sides may use event indices.
  bool offset = false;  // Ask for DESC_F_OFFSET in the first writable element.
  virtio::DriverSlot* slots = nullptr;  // `size` of them, private.

  // As of virtio::PackedDriverConfig.
  ProposalDescriptor* indirect_tables = nullptr;
  uint64_t indirect_tables_addr = 0;
  uint16_t indirect_entries = 0;
};

// Driver side of the proposed ring, of the shape of virtio::PackedDriver and
// as carefully written.
//
// Threads: thread-compatible; one owner.
// Trust: a used index that is not in flight sets broken().
// Allocation: none.
class ProposalDriver {
 public:
  explicit ProposalDriver(const ProposalDriverConfig& config);

  // Hot. As of virtio::PackedDriver.
  [[gnu::always_inline]] uint16_t Add(const virtio::DriverElement* readable,
                                      uint32_t readable_count,
                                      const virtio::DriverElement* writable,
                                      uint32_t writable_count) {
    uint16_t index;
    Batch added;
    if (!Fill(readable, readable_count, writable, writable_count, index,
              added)) {
      return virtio::kNoDriverBuffer;
    }
    if (hidden_) [[unlikely]] {
      Hide(added);
      Expose();
    } else {
      Expose(added);
    }
    return index;
  }

  // Hot.
  uint16_t AddBatched(const virtio::DriverElement* readable,
                      uint32_t readable_count,
                      const virtio::DriverElement* writable,
                      uint32_t writable_count) {
    uint16_t index;
    Batch added;
    if (!Fill(readable, readable_count, writable, writable_count, index,
              added)) {
      return virtio::kNoDriverBuffer;
    }
    Hide(added);
    return index;
  }
  void Expose() {
    if (!hidden_) return;
    hidden_ = false;
    Expose(hidden_batch_);
  }

  // Hot. As of virtio::PackedDriver.
  bool NeedsNotification();
  bool HasUsed() const;
  bool GetUsed(uint16_t* index, uint32_t* len);
  void DisableCallbacks() {
    StoreEvent(config_.driver_event, 0, kProposalEventDisable);
  }
  bool EnableCallbacks();

  uint32_t free_descriptors() const { return free_descriptors_; }
  bool broken() const { return broken_; }

 private:
  // One descriptor, whose address is in place and whose word may not be.
  struct Placed {
    uint32_t slot = 0;
    uint64_t word = 0;
  };
  // Buffers of which all is in place but the word of the first descriptor. The
  // last descriptor of each has kProposalBatchNext, and Expose() takes it from
  // the last one.
  struct Batch {
    Placed first;
    Placed last;
  };

  bool InFlight(uint16_t index) const {
    return index < config_.size && config_.slots[index].count != 0;
  }
  // What an element's flags say of it: `i` of a buffer with `readable_count`.
  uint16_t KindOf(uint32_t i, uint32_t readable_count) const {
    if (i < readable_count) return 0;
    return i == readable_count && config_.offset
               ? kProposalWrite | kProposalOffset
               : kProposalWrite;
  }

  static void StoreDescriptor(ProposalDescriptor& descriptor, uint64_t addr,
                              uint64_t word);
  static void StoreEvent(ProposalEvent* event, uint16_t idx, uint16_t flags);

  bool Fill(const virtio::DriverElement* readable, uint32_t readable_count,
            const virtio::DriverElement* writable, uint32_t writable_count,
            uint16_t& index, Batch& added);
  bool FillMany(const virtio::DriverElement* readable, uint32_t readable_count,
                const virtio::DriverElement* writable, uint32_t writable_count,
                uint16_t& index, Batch& added);
  virtio::DriverElement FillTable(uint16_t head,
                                  const virtio::DriverElement* readable,
                                  uint32_t readable_count,
                                  const virtio::DriverElement* writable,
                                  uint32_t elements);
  Placed Place(virtio::DriverElement element, uint32_t flags);
  void Hide(const Batch& added);
  void Expose(const Batch& batch);
  void PrefetchNextLine() const;
  void Free(uint16_t head, uint32_t count);

  ProposalDriverConfig config_;
  ProposalCounter next_available_;
  ProposalCounter next_used_;
  uint32_t free_descriptors_ = 0;
  uint32_t added_ = 0;       // Descriptors since the last NeedsNotification().
  uint16_t free_index_ = 0;  // Head of the free list.

  bool hidden_ = false;  // Whether there is a batch that Expose() will show.
  bool broken_ = false;
  Batch hidden_batch_;
};

}  // namespace annulus::bench

#include "tests/bench/proposal_driver_available_inl.h"  // IWYU pragma: export
#include "tests/bench/proposal_driver_used_inl.h"       // IWYU pragma: export

#endif  // TESTS_BENCH_PROPOSAL_DRIVER_H_
