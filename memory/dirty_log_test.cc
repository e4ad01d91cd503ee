#include "memory/dirty_log.h"

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::memory {
namespace {

TEST(DirtyLogTest, RangeBeyondTheLimitIsCutOff) {
  DirtyLog log(100 * DirtyLog::kPageSize);
  log.Mark(GuestAddress(99 * DirtyLog::kPageSize), 10 * DirtyLog::kPageSize);
  log.Mark(GuestAddress(500 * DirtyLog::kPageSize), 1);
  log.Mark(GuestAddress(UINT64_MAX), 2);
  log.Mark(GuestAddress(98 * DirtyLog::kPageSize), 0);
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{99}));
}

TEST(DirtyLogTest, MemoryOfOthersHasBitsInBytes) {
  alignas(8) std::array<uint8_t, 24> bytes = {};
  DirtyLog log(bytes.data(), 16);
  for (const uint64_t page : {0, 9, 10, 127, 128, 191}) {
    log.Mark(GuestAddress(page * DirtyLog::kPageSize), 1);
  }
  std::array<uint8_t, 24> expected = {};
  expected[0] = 1;
  expected[1] = 6;
  expected[15] = 0x80;
  EXPECT_EQ(bytes, expected) << "128 is beyond the end";
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{0, 9, 10, 127}));
}

TEST(DirtyLogTest, NoMarkIsLostWhileAnotherThreadCollects) {
  constexpr uint64_t kPages = 4096;
  DirtyLog log(kPages * DirtyLog::kPageSize);
  std::thread marker([&log] {
    for (uint64_t page = 0; page < kPages; ++page) {
      log.Mark(GuestAddress(page * DirtyLog::kPageSize), 1);
    }
  });
  std::vector<bool> seen(kPages);
  uint64_t count = 0;
  while (count < kPages) {
    for (const uint64_t page : log.Collect()) {
      EXPECT_FALSE(seen[page]);
      seen[page] = true;
      ++count;
    }
  }
  marker.join();
}

}  // namespace
}  // namespace annulus::memory
