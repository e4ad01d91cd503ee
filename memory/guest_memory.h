#ifndef MEMORY_GUEST_MEMORY_H_
#define MEMORY_GUEST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_region.h"
#include "memory/guest_span.h"

namespace annulus::memory {

// The map from guest-physical addresses to the memory of this process: an
// immutable table of regions. A change of the guest's memory makes a new
// table; workers pick it up when their queue is handed over.
//
// Threads: immutable, hence thread-safe. The bytes behind it are shared with
//   the guest.
// Trust: addresses and lengths are guest-controlled; every one is checked, and
//   no sum can wrap. A range never reaches across two regions, although the
//   regions may be adjacent to the guest: they need not be so on the host.
// Allocation: none after Create().
class GuestMemory {
 public:
  // `regions` in any order; refused when one is empty, wraps 2^64 or overlaps
  // another. The mappings and `dirty_log` (null: nothing is logged) must
  // outlive the table and all spans from it.
  static absl::StatusOr<GuestMemory> Create(std::vector<GuestRegion> regions,
                                            DirtyLog* dirty_log = nullptr);

  // Hot. The memory of [address, address + length), or nullopt where any byte
  // of it is not guest RAM. O(1) for the common layout, RAM below and above
  // the hole; O(log n) in the number of regions beyond these two.
  // A length of 0 gives an empty span if `address` is in RAM or at its end.
  std::optional<GuestSpan> Map(GuestAddress address, uint64_t length) const {
    const GuestRegion* region = Find(address, length);
    if (ABSL_PREDICT_FALSE(region == nullptr)) return std::nullopt;
    return GuestSpan(region->host + (address.value() - region->start.value()),
                     length);
  }

  // Cold. Copy to or from guest RAM; false, and nothing written to the guest,
  // where the range is not wholly inside one region.
  [[nodiscard]] bool Read(GuestAddress address, absl::Span<uint8_t> out) const;
  [[nodiscard]] bool Write(GuestAddress address,
                           absl::Span<const uint8_t> in) const;

  // Hot. To be called after the device side wrote through a span.
  void MarkDirty(GuestAddress address, uint64_t length) const {
    if (dirty_log_ != nullptr) dirty_log_->Mark(address, length);
  }

  // True if MarkDirty() does anything.
  bool logs_writes() const { return dirty_log_ != nullptr; }

  // Ascending by address.
  absl::Span<const GuestRegion> regions() const { return regions_; }

  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&& other) noexcept;

 private:
  GuestMemory(std::vector<GuestRegion> regions, DirtyLog* dirty_log);

  // The region that has all of [address, address + length), or null.
  const GuestRegion* Find(GuestAddress address, uint64_t length) const {
    if (ABSL_PREDICT_TRUE(first_two_[0]->Contains(address, length))) {
      return first_two_[0];
    }
    if (first_two_[1]->Contains(address, length)) return first_two_[1];
    return regions_.size() <= 2 ? nullptr : FindSlow(address, length);
  }
  const GuestRegion* FindSlow(GuestAddress address, uint64_t length) const;
  void PointAtFirstTwo();

  std::vector<GuestRegion> regions_;
  const GuestRegion* first_two_[2] = {};  // Both the same if there is one.
  DirtyLog* dirty_log_;                   // Not owned, may be null.
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_MEMORY_H_
