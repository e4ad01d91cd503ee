#ifndef TESTS_INTERLEAVING_LOCATIONS_H_
#define TESTS_INTERLEAVING_LOCATIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace annulus::interleaving {

inline constexpr size_t kMaxSync = 8;
inline constexpr size_t kMaxData = 96;

// A field of the shared memory. An access may cover several, of which one at
// most synchronizes.
struct Location {
  std::string name;
  uint32_t offset = 0;
  uint8_t bytes = 0;
  // Synchronizing fields are those through which the sides speak without having
  // agreed before: both may access them at the same time. All others belong to
  // one side at a time, and an access that is not ordered after the other's
  // last one is a failure.
  bool sync = false;
  // Of a synchronizing field: its reader loads it right after a fence, always.
  // Only forgetting depends on it, and it is checked.
  bool fenced = false;
  uint8_t index = 0;  // Among those of its kind.
};

// The memory that both sides share, and the names of its fields.
class Locations {
 public:
  static constexpr size_t kBytes = 4096;

  // REQUIRES: at most kMaxSync and kMaxData; no overlap.
  void AddSync(uint32_t offset, uint8_t bytes, std::string name);
  void AddEvent(uint32_t offset, uint8_t bytes, std::string name);  // Fenced.
  void AddData(uint32_t offset, uint8_t bytes, std::string name);

  // The fields in [offset, offset + bytes), ascending. REQUIRES: whole ones.
  absl::Span<const Location> Fields(uint32_t offset, uint8_t bytes) const;

  const std::vector<Location>& all() const { return locations_; }
  size_t sync_count() const { return sync_count_; }
  size_t data_count() const { return data_count_; }

  uint8_t* ram() { return ram_.data(); }
  const uint8_t* ram() const { return ram_.data(); }
  uint32_t OffsetOf(const void* at) const;

  // What Location `l` holds in ram(): the value before the sides run.
  uint64_t Initial(const Location& l) const;

 private:
  void Add(Location location);

  std::vector<Location> locations_;  // Ascending.
  // For each offset, the index of the first location from there.
  std::array<uint8_t, kBytes> first_at_ = {};
  size_t sync_count_ = 0;
  size_t data_count_ = 0;
  alignas(64) std::array<uint8_t, kBytes> ram_ = {};
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_LOCATIONS_H_
