#include "devices/virtio/queue/inflight/inflight_region.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

namespace annulus::virtio {
namespace {

constexpr size_t kHeader = offsetof(QueueRegionPacked, version);
constexpr size_t kUsed = offsetof(QueueRegionPacked, used_idx);
static_assert(kHeader == offsetof(QueueRegionSplit, version));
static_assert(kHeader % sizeof(uint64_t) == 0 && kUsed % sizeof(uint64_t) == 0);
static_assert(offsetof(DescStateSplit, inflight) == 0);
static_assert(offsetof(DescStatePacked, inflight) == 0);
static_assert(offsetof(DescStateSplit, counter) ==
              offsetof(DescStatePacked, counter));

constexpr uint16_t Part(uint64_t word, int index) {
  return static_cast<uint16_t>(word >> (16 * index));
}
constexpr uint64_t Word(uint16_t a, uint16_t b, uint16_t c, uint16_t d) {
  return a | uint64_t{b} << 16 | uint64_t{c} << 32 | uint64_t{d} << 48;
}

}  // namespace

absl::Status CheckInflightRegion(const memory::GuestSpan& region, bool packed,
                                 uint16_t size) {
  const size_t bytes = InflightRegionBytes(packed, size);
  const auto address = std::bit_cast<uintptr_t>(region.AsIovec().iov_base);
  if (region.size() >= bytes && address % sizeof(uint64_t) == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "a region of %u bytes for what is in flight is misaligned or too small "
      "for a %s queue of size %u, which needs %u",
      region.size(), packed ? "packed" : "split", size, bytes));
}

InflightSplitHeader InflightRegion::split_header() const {
  const uint64_t word = Load<uint64_t>(kHeader);
  return {.version = Part(word, 0),
          .desc_num = Part(word, 1),
          .last_batch_head = Part(word, 2),
          .used_idx = Part(word, 3)};
}

void InflightRegion::Store(const InflightSplitHeader& header) const {
  Store<uint64_t>(kHeader, Word(header.version, header.desc_num,
                                header.last_batch_head, header.used_idx));
}

InflightPackedHeader InflightRegion::packed_header() const {
  const uint64_t word = Load<uint64_t>(kHeader);
  return {.version = Part(word, 0),
          .desc_num = Part(word, 1),
          .free_head = Part(word, 2),
          .old_free_head = Part(word, 3)};
}

void InflightRegion::Store(const InflightPackedHeader& header) const {
  Store<uint64_t>(kHeader, Word(header.version, header.desc_num,
                                header.free_head, header.old_free_head));
}

bool InflightRegion::LoadUsed(uint16_t size, InflightPackedUsed& used) const {
  const uint64_t word = Load<uint64_t>(kUsed);
  const uint32_t wrap = Part(word, 2) & 0xff;
  const uint32_t old_wrap = Part(word, 2) >> 8;
  used = {.used = {Part(word, 0), wrap != 0},
          .old_used = {Part(word, 1), old_wrap != 0}};
  return used.used.offset < size && used.old_used.offset < size && wrap <= 1 &&
         old_wrap <= 1;
}

void InflightRegion::Store(const InflightPackedUsed& used) const {
  Store<uint64_t>(kUsed,
                  Word(used.used.offset, used.old_used.offset,
                       static_cast<uint16_t>((used.used.wrap ? 1 : 0) |
                                             (used.old_used.wrap ? 0x100 : 0)),
                       0));
}

void InflightRegion::Invalidate() const { Store<uint64_t>(kHeader, 0); }

void InflightRegion::ClearInFlight(bool packed, uint16_t size) const {
  std::vector<std::pair<uint64_t, size_t>> entries;  // Counter, where it is.
  for (uint16_t i = 0; i < size; ++i) {
    const size_t at = packed ? Packed(i) : Split(i);
    if (Load<uint8_t>(at) == 0) continue;
    const size_t counter = at + offsetof(DescStatePacked, counter);
    entries.emplace_back(Load<uint64_t>(counter), at);
  }
  std::sort(entries.begin(), entries.end(), std::greater<>());
  for (const auto& [counter, at] : entries) Store<uint8_t>(at, 0);
}

}  // namespace annulus::virtio
