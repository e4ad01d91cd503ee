#include "base/counting_allocator.h"

#include <vector>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(CountingAllocatorTest, SeesAVectorGrow) {
  const int before = AllocationCount();
  std::vector<int> numbers(100);
  // The pointer escapes, or the compiler may leave the allocation out.
  [[maybe_unused]] int* volatile escaped = numbers.data();
  EXPECT_GT(AllocationCount(), before);
}

}  // namespace
}  // namespace annulus
