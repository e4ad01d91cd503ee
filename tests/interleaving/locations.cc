#include "tests/interleaving/locations.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace annulus::interleaving {

void Locations::AddSync(uint32_t offset, uint8_t bytes, std::string name) {
  ANNULUS_CHECK(sync_count_ < kMaxSync);
  Add({.name = std::move(name),
       .offset = offset,
       .bytes = bytes,
       .sync = true,
       .index = static_cast<uint8_t>(sync_count_++)});
}

void Locations::AddEvent(uint32_t offset, uint8_t bytes, std::string name) {
  AddSync(offset, bytes, std::move(name));
  locations_.back().fenced = true;
}

void Locations::AddData(uint32_t offset, uint8_t bytes, std::string name) {
  ANNULUS_CHECK(data_count_ < kMaxData);
  Add({.name = std::move(name),
       .offset = offset,
       .bytes = bytes,
       .sync = false,
       .index = static_cast<uint8_t>(data_count_++)});
}

void Locations::Add(Location location) {
  ANNULUS_CHECK(locations_.empty() ||
                locations_.back().offset + locations_.back().bytes <=
                    location.offset);
  ANNULUS_CHECK(location.offset + location.bytes <= kBytes);
  const size_t index = locations_.size();
  std::fill(first_at_.begin() + location.offset, first_at_.end(),
            static_cast<uint8_t>(index + 1));
  first_at_[location.offset] = static_cast<uint8_t>(index);
  locations_.push_back(std::move(location));
}

absl::Span<const Location> Locations::Fields(uint32_t offset,
                                             uint8_t bytes) const {
  const size_t first = first_at_[offset];
  size_t end = first;
  uint32_t covered = offset;
  while (end < locations_.size() && covered < offset + bytes) {
    ANNULUS_CHECK(locations_[end].offset == covered);
    covered += locations_[end].bytes;
    ++end;
  }
  // An access that is no field's, or tears one.
  ANNULUS_CHECK(covered == offset + bytes);
  return absl::MakeConstSpan(locations_).subspan(first, end - first);
}

uint32_t Locations::OffsetOf(const void* at) const {
  const uint8_t* byte = static_cast<const uint8_t*>(at);
  ANNULUS_CHECK(byte >= ram_.data() && byte < ram_.data() + kBytes);
  return static_cast<uint32_t>(byte - ram_.data());
}

uint64_t Locations::Initial(const Location& l) const {
  uint64_t value = 0;
  std::memcpy(&value, ram_.data() + l.offset, l.bytes);  // Little-endian.
  return value;
}

}  // namespace annulus::interleaving
