#include "memory/dirty_log.h"

#include <algorithm>
#include <bit>

namespace annulus::memory {
namespace {

constexpr uint64_t DivideUp(uint64_t value, uint64_t by) {
  return value / by + (value % by != 0 ? 1 : 0);
}

}  // namespace

DirtyLog::DirtyLog(uint64_t limit)
    : page_count_(DivideUp(limit, kPageSize)),
      word_count_(DivideUp(page_count_, 64)),
      words_(new std::atomic<uint64_t>[word_count_]()) {}

void DirtyLog::Mark(GuestAddress address, uint64_t length) {
  if (length == 0) return;
  const uint64_t first = address.value() / kPageSize;
  const uint64_t last_byte =
      address.CheckedAdd(length - 1).value_or(GuestAddress(UINT64_MAX)).value();
  const uint64_t end = std::min(last_byte / kPageSize + 1, page_count_);
  for (uint64_t page = first; page < end; ++page) {
    const uint64_t bit = uint64_t{1} << (page % 64);
    std::atomic<uint64_t>& word = words_[page / 64];
    // The load spares the locked instruction for a page that is dirty already.
    // Acquire/release: pairs with the exchange in Collect(), so that a page
    // whose bit was found set here is read by the collector after this write.
    if ((word.load(std::memory_order_acquire) & bit) == 0) {
      word.fetch_or(bit, std::memory_order_release);
    }
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
