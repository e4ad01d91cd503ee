// RecoverQueue() of a split queue.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "devices/virtio/queue/inflight/recover_formats.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

// What the driver and the dead device left, read through once.
class SplitRecovery {
 public:
  SplitRecovery(const QueueConfig& config, const InflightRegion& region,
                const memory::GuestSpan& available,
                const memory::GuestSpan& used)
      : size_(config.size),
        in_order_(config.features.Has(kFeatureInOrder)),
        region_(region),
        available_(available),
        used_(used),
        in_flight_(config.size) {}

  std::optional<QueueState> Run();

 private:
  bool ReadRegion();
  bool MatchesRings() const;
  uint32_t UsedHead(uint16_t index) const {
    return used_.Load<uint32_t>(
        sizeof(SplitUsedHeader) +
            (index & (size_ - 1u)) * sizeof(SplitUsedElement) +
            offsetof(SplitUsedElement, id),
        std::memory_order_relaxed);
  }

  const uint16_t size_;
  const bool in_order_;
  const InflightRegion& region_;
  const memory::GuestSpan& available_;
  const memory::GuestSpan& used_;

  uint16_t used_idx_ = 0;
  uint16_t last_batch_head_ = 0;
  std::vector<bool> in_flight_;
  std::vector<uint16_t> finished_;  // Heads of the last batch.
  std::vector<std::pair<uint64_t, uint16_t>> heads_;  // In flight; by counter.
};

// What the region says, the last batch of used buffers being committed. False
// where it says nothing that can be.
bool SplitRecovery::ReadRegion() {
  const InflightSplitHeader header = region_.split_header();
  if (header.version != kInflightVersion || header.desc_num != size_ ||
      region_.features() != 0) {
    return false;
  }
  // Where the device died between the store of idx and the last of its notes,
  // the driver has a batch of which the region says that it is in flight.
  used_idx_ = used_.Load<uint16_t>(offsetof(SplitUsedHeader, idx),
                                   std::memory_order_acquire);
  const uint16_t batch = static_cast<uint16_t>(used_idx_ - header.used_idx);
  if (batch > size_) return false;
  for (uint16_t i = 0; i < size_; ++i) {
    in_flight_[i] = region_.Load<uint8_t>(InflightRegion::Split(i)) != 0;
  }
  last_batch_head_ = header.last_batch_head;
  uint16_t head = header.last_batch_head;
  for (uint32_t i = 0; i < batch; ++i) {
    if (head >= size_) return false;
    in_flight_[head] = false;
    finished_.push_back(head);
    head = region_.Load<uint16_t>(InflightRegion::Split(head) +
                                  offsetof(DescStateSplit, next));
  }
  for (uint16_t i = 0; i < size_; ++i) {
    if (!in_flight_[i]) continue;
    heads_.emplace_back(
        region_.Load<uint64_t>(InflightRegion::Split(i) +
                               offsetof(DescStateSplit, counter)),
        i);
  }
  std::sort(heads_.begin(), heads_.end());
  return true;
}

bool SplitRecovery::MatchesRings() const {
  // Buffers are used in order: the available ring has those in flight still,
  // from where the used ring ends.
  const uint16_t available_idx = available_.Load<uint16_t>(
      offsetof(SplitAvailableHeader, idx), std::memory_order_acquire);
  const uint16_t waiting = static_cast<uint16_t>(available_idx - used_idx_);
  if (waiting > size_ || heads_.size() > waiting) return false;
  for (size_t i = 0; i < heads_.size(); ++i) {
    const uint16_t head = available_.Load<uint16_t>(
        sizeof(SplitAvailableHeader) +
            ((used_idx_ + i) & (size_ - 1u)) * sizeof(uint16_t),
        std::memory_order_relaxed);
    if (head != heads_[i].second) return false;
  }
  // The last buffer that was used is in the used ring. Not so if all slots were
  // written again by a batch that the driver has not seen, or if this is the
  // head of one. In order its slot is that of the first one of its run, which
  // may be written again at any time.
  if (!in_order_) {
    return heads_.size() == size_ ||
           (last_batch_head_ < size_ && in_flight_[last_batch_head_]) ||
           UsedHead(static_cast<uint16_t>(used_idx_ - 1)) == last_batch_head_;
  }
  if (!heads_.empty()) return true;
  for (uint16_t i = 0; i < size_; ++i) {
    if (UsedHead(i) == last_batch_head_) return true;
  }
  return false;
}

std::optional<QueueState> SplitRecovery::Run() {
  if (!ReadRegion() || !MatchesRings()) return std::nullopt;
  for (const uint16_t head : finished_) {
    region_.Store<uint8_t>(InflightRegion::Split(head), 0);
  }
  // With the last head that is in the used ring, which a batch that was not
  // exposed may have replaced. One word: all of it or nothing.
  region_.Store(InflightSplitHeader{
      .version = kInflightVersion,
      .desc_num = size_,
      .last_batch_head =
          static_cast<uint16_t>(UsedHead(static_cast<uint16_t>(used_idx_ - 1))),
      .used_idx = used_idx_});
  region_.ClearInFlight(/*packed=*/false, size_);
  return QueueState{.packed = false,
                    .size = size_,
                    .next_available = used_idx_,
                    .next_used = used_idx_};
}

}  // namespace

absl::StatusOr<std::optional<QueueState>> RecoverSplitQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const InflightRegion& region) {
  ANNULUS_ASSIGN_OR_RETURN(
      const memory::GuestSpan available,
      MapRingArea(memory, config.driver, SplitAvailableRingBytes(config.size),
                  kSplitAvailableAlignment, "available ring"));
  ANNULUS_ASSIGN_OR_RETURN(
      const memory::GuestSpan used,
      MapRingArea(memory, config.device, SplitUsedRingBytes(config.size),
                  kSplitUsedAlignment, "used ring"));
  return SplitRecovery(config, region, available, used).Run();
}

}  // namespace annulus::virtio
