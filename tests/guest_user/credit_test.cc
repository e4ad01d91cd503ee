#include "tests/guest_user/credit.h"

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {
namespace {

constexpr MacAddress kCard = {2, 3, 4, 5, 6, 7};

TEST(CreditTest, ComesBackAsItWas) {
  const CreditFrame frame = EncodeCredit(
      {.seed = 0x1122334455667788, .received = 99, .window = 64}, kCard);
  const std::optional<Credit> credit = DecodeCredit(frame);
  ASSERT_TRUE(credit.has_value());
  EXPECT_EQ(credit->seed, 0x1122334455667788);
  EXPECT_EQ(credit->received, 99);
  EXPECT_EQ(credit->window, 64);
}

TEST(CreditTest, OtherFramesAreNone) {
  const CreditFrame frame = EncodeCredit({}, kCard);
  for (size_t at : {12u, 13u, 14u, 15u}) {
    CreditFrame other = frame;
    ++other[at];
    EXPECT_FALSE(DecodeCredit(other).has_value());
  }
  EXPECT_FALSE(DecodeCredit(absl::MakeConstSpan(frame).subspan(0, 35)));
  EXPECT_TRUE(DecodeCredit(absl::MakeConstSpan(frame).subspan(0, 36)));
}

}  // namespace
}  // namespace annulus::guest_user
