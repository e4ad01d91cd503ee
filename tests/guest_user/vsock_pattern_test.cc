#include "tests/guest_user/vsock_pattern.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::guest_user {
namespace {

std::vector<char> Bytes(const Pattern& pattern, size_t size, uint64_t offset) {
  std::vector<char> bytes(size);
  pattern.Fill(absl::MakeSpan(bytes), offset);
  return bytes;
}

TEST(VsockPatternTest, PartsAreThoseOfTheWhole) {
  const Pattern pattern(7);
  const std::vector<char> whole = Bytes(pattern, 100, 0);
  for (size_t offset = 0; offset < 100; ++offset) {
    for (size_t size = 1; offset + size <= 100; ++size) {
      const std::vector<char> part = Bytes(pattern, size, offset);
      ASSERT_EQ(part, std::vector<char>(whole.begin() + offset,
                                        whole.begin() + offset + size))
          << offset << " " << size;
      ASSERT_EQ(pattern.FindDifference(part, offset), std::nullopt);
    }
  }
}

TEST(VsockPatternTest, FindsEachByteThatIsAnother) {
  const Pattern pattern(1);
  for (size_t wrong = 0; wrong < 40; ++wrong) {
    std::vector<char> bytes = Bytes(pattern, 40, 1003);
    bytes[wrong] ^= 0x10;
    EXPECT_EQ(pattern.FindDifference(bytes, 1003), 1003 + wrong);
  }
}

TEST(VsockPatternTest, FindsBytesOfAnotherPlaceOrSeed) {
  const std::vector<char> bytes = Bytes(Pattern(1), 4096, 0);
  for (uint64_t shift = 1; shift < 4096; ++shift) {
    ASSERT_TRUE(Pattern(1).FindDifference(bytes, shift).has_value()) << shift;
  }
  for (uint64_t seed = 2; seed < 4096; ++seed) {
    ASSERT_TRUE(Pattern(seed).FindDifference(bytes, 0).has_value()) << seed;
  }
}

}  // namespace
}  // namespace annulus::guest_user
