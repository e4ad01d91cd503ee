// RecoverQueue() of a packed queue. Citations are of virtio 1.4.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status_macros.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/inflight/recover_formats.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

bool IsPackedUsed(uint16_t flags, bool wrap) {
  constexpr uint16_t kMask = kPackedDescAvail | kPackedDescUsed;
  return (flags & kMask) == (wrap ? kMask : 0);
}

class PackedRecovery {
 public:
  PackedRecovery(const memory::GuestMemory& memory, const QueueConfig& config,
                 const InflightRegion& region, const memory::GuestSpan& ring)
      : memory_(memory),
        ring_address_(config.descriptor),
        size_(config.size),
        region_(region),
        ring_(ring),
        free_(config.size) {}

  std::optional<QueueState> Run();

 private:
  struct Chain {
    uint64_t counter = 0;
    uint16_t head = 0;
  };
  struct Overwritten {
    uint16_t offset = 0;
    uint64_t rest = 0;  // As the driver wrote it.
  };

  bool ReadHeader();
  void ReadFreeList();
  std::vector<Chain> ReadChains() const;
  bool MatchesRing(const std::vector<Chain>& chains);
  bool MatchesRing(const Chain& chain, PackedPosition& position,
                   std::vector<bool>& seen);
  bool NothingInFlightMatchesRing() const;
  void Restore() const;

  uint16_t FlagsAt(uint16_t offset) const {
    return LoadDescriptor(ring_, offset).packed_flags();
  }

  const memory::GuestMemory& memory_;
  const memory::GuestAddress ring_address_;
  const uint16_t size_;
  const InflightRegion& region_;
  const memory::GuestSpan& ring_;

  // After the last batch was committed or taken back.
  PackedPosition used_;
  uint16_t free_head_ = 0;
  InflightPackedUsed as_found_;

  std::vector<bool> free_;
  std::vector<Overwritten> overwritten_;
};

// Commits the last batch, or takes it back. False where the region says nothing
// that can be.
bool PackedRecovery::ReadHeader() {
  const InflightPackedHeader header = region_.packed_header();
  if (header.version != kInflightVersion || header.desc_num != size_ ||
      region_.features() != 0 || !region_.LoadUsed(size_, as_found_)) {
    return false;
  }
  used_ = as_found_.old_used;
  free_head_ = header.old_free_head;
  if (as_found_.used == as_found_.old_used) return true;
  if (used_.DistanceTo(as_found_.used, size_) > size_) return false;
  // The driver sees the batch if its first descriptor is as the driver made it
  // available no longer. Acquire: pairs with nothing but the device's death.
  const uint16_t flags = ring_.Load<uint16_t>(
      used_.offset * kDescriptorBytes + offsetof(PackedDescriptor, flags),
      std::memory_order_acquire);
  if (!IsPackedAvailable(flags, used_.wrap)) {
    used_ = as_found_.used;
    free_head_ = header.free_head;
  }
  return true;
}

// A list that is broken was being built when the device died, with nothing in
// flight: how much of it is found does not matter then.
void PackedRecovery::ReadFreeList() {
  uint16_t entry = free_head_;
  while (entry < size_ && !free_[entry]) {
    free_[entry] = true;
    entry = region_.Load<uint16_t>(InflightRegion::Packed(entry) +
                                   offsetof(DescStatePacked, next));
  }
}

// In the order of popping.
std::vector<PackedRecovery::Chain> PackedRecovery::ReadChains() const {
  std::vector<Chain> chains;
  for (uint16_t i = 0; i < size_; ++i) {
    const size_t at = InflightRegion::Packed(i);
    if (free_[i] || region_.Load<uint8_t>(at) == 0) continue;
    chains.push_back({.counter = region_.Load<uint64_t>(
                          at + offsetof(DescStatePacked, counter)),
                      .head = i});
  }
  std::sort(chains.begin(), chains.end(), [](const Chain& a, const Chain& b) {
    return a.counter < b.counter;
  });
  return chains;
}

// Buffers are used in order: those in flight lie in the ring, one after the
// other, from where the next used descriptor goes.
bool PackedRecovery::MatchesRing(const std::vector<Chain>& chains) {
  if (chains.empty()) return NothingInFlightMatchesRing();
  PackedPosition position = used_;
  std::vector<bool> seen = free_;
  return std::all_of(chains.begin(), chains.end(), [&](const Chain& chain) {
    return MatchesRing(chain, position, seen);
  });
}

bool PackedRecovery::MatchesRing(const Chain& chain, PackedPosition& position,
                                 std::vector<bool>& seen) {
  const uint16_t count = region_.Load<uint16_t>(
      InflightRegion::Packed(chain.head) + offsetof(DescStatePacked, num));
  if (count == 0) return false;
  uint16_t entry = chain.head;
  // Each entry once: no more steps than entries, for all chains together.
  for (uint16_t i = 0; i < count; ++i) {
    if (entry >= size_ || seen[entry]) return false;
    seen[entry] = true;
    const size_t at = InflightRegion::Packed(entry);
    const uint64_t addr =
        region_.Load<uint64_t>(at + offsetof(DescStatePacked, addr));
    const uint64_t state =
        region_.Load<uint64_t>(at + offsetof(DescStatePacked, id));
    // Flags and id are in the other order in a descriptor than the length.
    const DescriptorWords saved = {
        .addr = addr, .rest = state >> 32 | (state & UINT32_MAX) << 32};
    const DescriptorWords found = LoadDescriptor(ring_, position.offset);
    if (found.addr != saved.addr ||
        !IsPackedAvailable(saved.packed_flags(), position.wrap)) {
      return false;
    }
    if (found.rest != saved.rest) {
      // Then a used descriptor is there. Only at the beginning of a buffer, and
      // not of the first: that would show it to the driver.
      if (i != 0 || position == used_ ||
          !IsPackedUsed(found.packed_flags(), position.wrap)) {
        return false;
      }
      overwritten_.push_back({.offset = position.offset, .rest = saved.rest});
    }
    position.Advance(1, size_);
    entry = region_.Load<uint16_t>(at + offsetof(DescStatePacked, next));
  }
  return true;
}

// Before the place of the next used descriptor something was used or, as part
// of a longer buffer, available in this lap, if it is not available in the next
// lap already; at the place nothing was used in this lap.
bool PackedRecovery::NothingInFlightMatchesRing() const {
  PackedPosition last = used_;
  last.Advance(size_ - 1u, size_);
  last.wrap = !last.wrap;  // A lap back.
  return !IsPackedUsed(FlagsAt(used_.offset), used_.wrap) &&
         !IsPackedUsed(FlagsAt(last.offset), !last.wrap);
}

void PackedRecovery::Restore() const {
  for (const Overwritten& descriptor : overwritten_) {
    // Release: pairs with the driver's acquire of flags, were it to look here.
    ring_.Store<uint64_t>(
        descriptor.offset * kDescriptorBytes + offsetof(PackedDescriptor, len),
        descriptor.rest, std::memory_order_release);
    MarkRingDirty(memory_, ring_address_, kDescriptorBytes, size_,
                  descriptor.offset, 1);
  }
}

std::optional<QueueState> PackedRecovery::Run() {
  if (!ReadHeader()) return std::nullopt;
  ReadFreeList();
  if (!MatchesRing(ReadChains())) return std::nullopt;
  // In this order: cut short anywhere, it comes to the same once more.
  Restore();
  region_.Store(InflightPackedHeader{.version = kInflightVersion,
                                     .desc_num = size_,
                                     .free_head = free_head_,
                                     .old_free_head = free_head_});
  region_.Store(InflightPackedUsed{.used = used_, .old_used = used_});
  region_.ClearInFlight(/*packed=*/true, size_);
  return QueueState{.packed = true,
                    .size = size_,
                    .next_available = used_.offset,
                    .next_used = used_.offset,
                    .available_wrap = used_.wrap,
                    .used_wrap = used_.wrap};
}

}  // namespace

absl::StatusOr<std::optional<QueueState>> RecoverPackedQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const InflightRegion& region) {
  ANNULUS_ASSIGN_OR_RETURN(
      const memory::GuestSpan ring,
      MapRingArea(memory, config.descriptor, config.size * kDescriptorBytes,
                  kPackedRingAlignment, "descriptor ring"));
  return PackedRecovery(memory, config, region, ring).Run();
}

}  // namespace annulus::virtio
