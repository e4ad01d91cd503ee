#include "cli/escape_filter.h"

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using Command = EscapeFilter::Command;

// Feeds all of `typed`; records what the guest gets, with {leave} and {help}.
std::string Guest(EscapeFilter& filter, absl::string_view typed) {
  std::string guest;
  while (!typed.empty()) {
    size_t consumed = 0;
    const Command command = filter.Filter(typed, guest, consumed);
    EXPECT_GT(consumed, 0u);
    typed.remove_prefix(consumed);
    if (command == Command::kLeave) guest += "{leave}";
    if (command == Command::kHelp) guest += "{help}";
  }
  return guest;
}

std::string Guest(absl::string_view typed) {
  EscapeFilter filter;
  return Guest(filter, typed);
}

TEST(EscapeFilterTest, OtherBytesPass) {
  EXPECT_EQ(Guest("abc\x03\x1b[A\xff\r"), "abc\x03\x1b[A\xff\r");
  EXPECT_EQ(Guest("xXhH?"), "xXhH?");
}

TEST(EscapeFilterTest, CtrlAXLeaves) {
  EXPECT_EQ(Guest("ab\x01xcd"), "ab{leave}cd");
  EXPECT_EQ(Guest("\x01X"), "{leave}");
}

TEST(EscapeFilterTest, CtrlAHelps) {
  EXPECT_EQ(Guest("\x01h\x01H\x01?"), "{help}{help}{help}");
}

TEST(EscapeFilterTest, CtrlATwiceOrAIsCtrlA) {
  EXPECT_EQ(Guest("\x01\x01"), "\x01");
  EXPECT_EQ(Guest("\x01"
                  "a\x01"
                  "A"),
            "\x01\x01");
  EXPECT_EQ(Guest("\x01\x01x"), "\x01x");
}

TEST(EscapeFilterTest, CtrlAWithAnythingElseIsSwallowed) {
  EXPECT_EQ(Guest("a\x01zb"), "ab");
}

TEST(EscapeFilterTest, SequenceMayBeSpreadOverCalls) {
  EscapeFilter filter;
  EXPECT_EQ(Guest(filter, "a\x01"), "a");
  EXPECT_EQ(Guest(filter, "x"), "{leave}");
  EXPECT_EQ(Guest(filter, "x"), "x");
}

}  // namespace
}  // namespace annulus::cli
