#include "memory/dirty_log.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace annulus::memory {
namespace {

constexpr uint64_t DivideUp(uint64_t value, uint64_t by) {
  return value / by + (value % by != 0 ? 1 : 0);
}

}  // namespace

DirtyLog::DirtyLog(uint64_t limit)
    : page_count_(DivideUp(limit, kPageSize)),
      word_count_(DivideUp(page_count_, 64)),
      owned_(new std::atomic<uint64_t>[word_count_]()),
      words_(owned_.get()) {}

// What lies in the memory is 64-bit numbers in host order, as atomics of this
// size are.
DirtyLog::DirtyLog(uint8_t* bits, uint64_t bytes)
    : page_count_(bytes * 8),
      word_count_(bytes / 8),
      words_(reinterpret_cast<std::atomic<uint64_t>*>(bits)) {
  static_assert(sizeof(std::atomic<uint64_t>) == 8 &&
                std::endian::native == std::endian::little);
  ANNULUS_CHECK(reinterpret_cast<uintptr_t>(bits) % 8 == 0 && bytes % 8 == 0);
}

void DirtyLog::Mark(GuestAddress address, uint64_t length) {
  if (length == 0) return;
  const uint64_t first = address.value() / kPageSize;
  const uint64_t last_byte =
      address.CheckedAdd(length - 1).value_or(GuestAddress(UINT64_MAX)).value();
  const uint64_t end = std::min(last_byte / kPageSize + 1, page_count_);
  for (uint64_t page = first; page < end; ++page) {
    const uint64_t bit = uint64_t{1} << (page % 64);
    // Acquire-release: pairs with the exchange in Collect(), or that of a
    // front-end, so that who takes the bit sees what was written before. Not
    // spared where the bit is set already: a load may come before the writes
    // that it stands for are visible, and the bit may be taken in between.
    words_[page / 64].fetch_or(bit, std::memory_order_acq_rel);
  }
}

std::vector<uint64_t> DirtyLog::Collect() {
  std::vector<uint64_t> pages;
  for (uint64_t i = 0; i < word_count_; ++i) {
    // Acquire: pairs with the release in Mark().
    uint64_t word = words_[i].exchange(0, std::memory_order_acq_rel);
    for (; word != 0; word &= word - 1) {
      pages.push_back(i * 64 + static_cast<uint64_t>(std::countr_zero(word)));
    }
  }
  return pages;
}

}  // namespace annulus::memory
