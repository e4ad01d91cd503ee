#include "devices/virtio/queue/inflight/split_inflight.h"

#include <cstddef>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace annulus::virtio {

SplitInflight::SplitInflight(const memory::GuestSpan& region, uint16_t size)
    : region_(region), size_(size), heads_(size) {}

absl::StatusOr<SplitInflight> SplitInflight::Create(
    const memory::GuestSpan& region, uint16_t size, uint16_t used_idx,
    uint16_t last_head) {
  ANNULUS_RETURN_IF_ERROR(CheckInflightRegion(region, /*packed=*/false, size));
  SplitInflight inflight(region, size);
  inflight.last_batch_head_ = last_head;
  const InflightRegion& to = inflight.region_;
  // A region that says already where the queue goes on keeps saying it.
  const InflightSplitHeader before = to.split_header();
  if (to.features() != 0 || before.version != kInflightVersion ||
      before.desc_num != size || before.used_idx != used_idx) {
    to.Invalidate();
  }
  to.ClearInFlight(/*packed=*/false, size);
  to.Store<uint64_t>(offsetof(QueueRegionSplit, features), 0);
  to.Store(InflightSplitHeader{.version = kInflightVersion,
                               .desc_num = size,
                               .last_batch_head = last_head,
                               .used_idx = used_idx});
  return inflight;
}

void SplitInflight::Note(uint16_t head) {
  ANNULUS_DCHECK(head < size_ && count_ < size_);
  heads_[(first_ + count_) % size_] = head;
  ++count_;
  const size_t entry = InflightRegion::Split(head);
  region_.Store<uint64_t>(entry + offsetof(DescStateSplit, counter),
                          counter_++);
  region_.Store<uint8_t>(entry + offsetof(DescStateSplit, inflight), 1);
}

void SplitInflight::BeforeExpose(uint32_t count) {
  ANNULUS_DCHECK(count <= count_);
  exposed_ = count;
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t head = heads_[(first_ + i) % size_];
    region_.Store<uint16_t>(
        InflightRegion::Split(head) + offsetof(DescStateSplit, next),
        last_batch_head_);
    last_batch_head_ = head;
  }
  region_.Store<uint16_t>(offsetof(QueueRegionSplit, last_batch_head),
                          last_batch_head_);
}

void SplitInflight::AfterExpose(uint16_t used_idx) {
  for (; exposed_ != 0; --exposed_) {
    region_.Store<uint8_t>(InflightRegion::Split(heads_[first_]) +
                               offsetof(DescStateSplit, inflight),
                           0);
    first_ = (first_ + 1) % size_;
    --count_;
  }
  region_.Store<uint16_t>(offsetof(QueueRegionSplit, used_idx), used_idx);
}

}  // namespace annulus::virtio
