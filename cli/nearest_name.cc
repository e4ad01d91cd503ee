#include "cli/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "absl/strings/match.h"

namespace annulus::cli {
namespace {

// Longer words are no typing mistakes; bounds the work on hostile arguments.
constexpr size_t kMaxWord = 40;

// How many letters must be replaced, put in, taken out or swapped with the next
// to make `b` of `a`.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  // Of the first i letters of `a` to the first j of `b`: the row of i, and the
  // two before.
  std::vector<size_t> row(b.size() + 1);
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> two_before;
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    two_before = before;
    before = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min(
          {before[j - 1] + (same ? 0 : 1), before[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<absl::string_view> NearestName(
    absl::string_view word, absl::Span<const absl::string_view> names) {
  if (word.empty() || word.size() > kMaxWord) return std::nullopt;
  std::optional<absl::string_view> nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const absl::string_view name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  if (nearest.has_value() || word.size() < 3) return nearest;
  for (const absl::string_view name : names) {
    if (!absl::StartsWith(name, word) && !absl::StartsWith(word, name)) {
      continue;
    }
    if (nearest.has_value()) return std::nullopt;
    nearest = name;
  }
  return nearest;
}

}  // namespace annulus::cli
