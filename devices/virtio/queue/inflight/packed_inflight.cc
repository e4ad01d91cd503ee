#include "devices/virtio/queue/inflight/packed_inflight.h"

#include <cstddef>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/descriptor_words.h"

namespace annulus::virtio {
namespace {

// An entry's inflight, next, last and num, and its id, flags and len, are one
// aligned word each.
static_assert(offsetof(DescStatePacked, num) == 6);
constexpr uint64_t HeadWord(uint16_t next, uint16_t last, uint16_t num) {
  return 1 | uint64_t{next} << 16 | uint64_t{last} << 32 | uint64_t{num} << 48;
}

}  // namespace

PackedInflight::PackedInflight(const memory::GuestSpan& region, uint16_t size,
                               PackedPosition used)
    : region_(region), size_(size), next_(size), chains_(size), used_(used) {}

absl::StatusOr<PackedInflight> PackedInflight::Create(
    const memory::GuestSpan& region, uint16_t size, PackedPosition used) {
  ANNULUS_RETURN_IF_ERROR(CheckInflightRegion(region, /*packed=*/true, size));
  PackedInflight inflight(region, size, used);
  const InflightRegion& to = inflight.region_;
  // A region that says already where the queue goes on keeps saying it.
  const InflightPackedHeader header = to.packed_header();
  InflightPackedUsed before;
  if (to.features() != 0 || header.version != kInflightVersion ||
      header.desc_num != size || !to.LoadUsed(size, before) ||
      !(before.used == used) || !(before.old_used == used)) {
    to.Invalidate();
  }
  to.ClearInFlight(/*packed=*/true, size);
  for (uint16_t i = 0; i < size; ++i) {
    inflight.next_[i] = static_cast<uint16_t>(i + 1);
    to.Store<uint16_t>(
        InflightRegion::Packed(i) + offsetof(DescStatePacked, next),
        inflight.next_[i]);
  }
  to.Store<uint64_t>(offsetof(QueueRegionPacked, features), 0);
  to.Store(InflightPackedUsed{.used = used, .old_used = used});
  inflight.StoreHeader(inflight.free_head_);
  return inflight;
}

void PackedInflight::StoreHeader(uint16_t old_free_head) const {
  region_.Store(InflightPackedHeader{.version = kInflightVersion,
                                     .desc_num = size_,
                                     .free_head = free_head_,
                                     .old_free_head = old_free_head});
}

void PackedInflight::Note(const memory::GuestSpan& ring, uint16_t offset,
                          uint16_t count) {
  ANNULUS_DCHECK(count != 0 && count_ < size_);
  const uint16_t head = free_head_;
  uint16_t last = head;
  PackedPosition position = {.offset = offset};
  for (uint16_t i = 0; i < count; ++i) {
    ANNULUS_DCHECK(free_head_ < size_);
    last = free_head_;
    const size_t entry = InflightRegion::Packed(last);
    const DescriptorWords descriptor = LoadDescriptor(ring, position.offset);
    region_.Store<uint64_t>(entry + offsetof(DescStatePacked, addr),
                            descriptor.addr);
    region_.Store<uint64_t>(entry + offsetof(DescStatePacked, id),
                            descriptor.packed_id() |
                                uint64_t{descriptor.packed_flags()} << 16 |
                                uint64_t{descriptor.len()} << 32);
    free_head_ = next_[last];
    position.Advance(1, size_);
  }
  const size_t entry = InflightRegion::Packed(head);
  region_.Store<uint64_t>(entry + offsetof(DescStatePacked, counter),
                          counter_++);
  region_.Store<uint64_t>(entry, HeadWord(next_[head], last, count));
  chains_[(first_ + count_) % size_] = {
      .head = head, .last = last, .count = count};
  ++count_;
}

// An entry of the free list is not in flight, whatever it says: the chains are
// noted at once.
void PackedInflight::NoteEnd() { StoreHeader(free_head_); }

void PackedInflight::BeforeExpose(uint32_t count, PackedPosition end) {
  const uint16_t old_free_head = free_head_;
  for (exposed_ = 0; count != 0 && exposed_ < count_; ++exposed_) {
    const Chain& chain = chains_[(first_ + exposed_) % size_];
    ANNULUS_DCHECK(chain.count <= count);  // Pushed as they were popped.
    next_[chain.last] = free_head_;
    region_.Store<uint16_t>(
        InflightRegion::Packed(chain.last) + offsetof(DescStatePacked, next),
        free_head_);
    free_head_ = chain.head;
    count -= chain.count;
  }
  StoreHeader(old_free_head);
  region_.Store(InflightPackedUsed{.used = end, .old_used = used_});
  used_ = end;
}

void PackedInflight::AfterExpose() {
  for (; exposed_ != 0; --exposed_) {
    region_.Store<uint8_t>(InflightRegion::Packed(chains_[first_].head) +
                               offsetof(DescStatePacked, inflight),
                           0);
    first_ = (first_ + 1) % size_;
    --count_;
  }
  StoreHeader(free_head_);
  region_.Store(InflightPackedUsed{.used = used_, .old_used = used_});
}

}  // namespace annulus::virtio
