#include "memory/guest_memory.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace annulus::memory {

absl::StatusOr<GuestMemory> GuestMemory::Create(
    std::vector<GuestRegion> regions, DirtyLog* dirty_log) {
  if (regions.empty()) {
    return absl::InvalidArgumentError("guest memory has no region");
  }
  std::sort(regions.begin(), regions.end(),
            [](const GuestRegion& a, const GuestRegion& b) {
              return a.start < b.start;
            });
  const GuestRegion* previous = nullptr;
  for (const GuestRegion& region : regions) {
    if (region.size == 0 || region.host == nullptr ||
        !region.start.CheckedAdd(region.size).has_value()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("guest memory region at %#x of %u bytes is empty, "
                          "unmapped or wraps",
                          region.start.value(), region.size));
    }
    if (previous != nullptr &&
        region.start.value() - previous->start.value() < previous->size) {
      return absl::InvalidArgumentError(
          absl::StrFormat("guest memory regions at %#x and %#x overlap",
                          previous->start.value(), region.start.value()));
    }
    previous = &region;
  }
  return GuestMemory(std::move(regions), dirty_log);
}

GuestMemory::GuestMemory(std::vector<GuestRegion> regions, DirtyLog* dirty_log)
    : regions_(std::move(regions)), dirty_log_(dirty_log) {
  PointAtFirstTwo();
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : regions_(std::move(other.regions_)), dirty_log_(other.dirty_log_) {
  PointAtFirstTwo();
}

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
  regions_ = std::move(other.regions_);
  dirty_log_ = other.dirty_log_;
  PointAtFirstTwo();
  return *this;
}

void GuestMemory::PointAtFirstTwo() {
  first_two_[0] = &regions_.front();
  first_two_[1] = regions_.size() > 1 ? &regions_[1] : &regions_.front();
}

const GuestRegion* GuestMemory::FindSlow(GuestAddress address,
                                         uint64_t length) const {
  auto after = std::upper_bound(
      regions_.begin(), regions_.end(), address,
      [](GuestAddress a, const GuestRegion& r) { return a < r.start; });
  if (after == regions_.begin()) return nullptr;
  const GuestRegion& region = *std::prev(after);
  return region.Contains(address, length) ? &region : nullptr;
}

bool GuestMemory::Read(GuestAddress address, absl::Span<uint8_t> out) const {
  const std::optional<GuestSpan> span = Map(address, out.size());
  if (!span.has_value()) return false;
  span->CopyOut(0, out);
  return true;
}

bool GuestMemory::Write(GuestAddress address,
                        absl::Span<const uint8_t> in) const {
  const std::optional<GuestSpan> span = Map(address, in.size());
  if (!span.has_value()) return false;
  span->CopyIn(0, in);
  MarkDirty(address, in.size());
  return true;
}

}  // namespace annulus::memory
