#include "devices/virtio/vsock/backend/connect_line.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using State = ConnectLine::State;

struct Read {
  State state;
  uint32_t port;
  size_t taken;
  friend bool operator==(const Read&, const Read&) = default;
};

// In pieces that end at the bits of `cuts`: bit n is behind byte n.
Read ReadInPieces(absl::string_view text, uint64_t cuts) {
  ConnectLine line;
  Read read = {};
  while (line.state() == State::kIncomplete && read.taken < text.size()) {
    size_t end = read.taken + 1;
    const auto cut = [cuts](size_t at) {
      return at <= 64 && (cuts >> (at - 1) & 1) != 0;
    };
    while (end < text.size() && !cut(end)) ++end;
    read.taken += line.Take(text.substr(read.taken, end - read.taken));
  }
  read.state = line.state();
  read.port = line.port();
  return read;
}

Read ReadWhole(absl::string_view text) { return ReadInPieces(text, 0); }

TEST(ConnectLineTest, NamesThePort) {
  EXPECT_EQ(ReadWhole("CONNECT 52\n"), (Read{State::kComplete, 52, 11}));
  EXPECT_EQ(ReadWhole("CONNECT 0\n"), (Read{State::kComplete, 0, 10}));
  EXPECT_EQ(ReadWhole("CONNECT 4294967295\n"),
            (Read{State::kComplete, 4294967295, 19}));
}

TEST(ConnectLineTest, CaseAndWhiteSpaceDoNotMatter) {
  for (const char* text : {"connect 7\n", "CoNnEcT 7\n", "CONNECT 7\r\n",
                           " CONNECT\t7 \n", "\tCONNECT \v\f  0007\n"}) {
    EXPECT_EQ(ParseConnectLine(absl::string_view(text).substr(
                  0, absl::string_view(text).size() - 1)),
              7u)
        << text;
    EXPECT_EQ(ReadWhole(text).state, State::kComplete) << text;
  }
}

TEST(ConnectLineTest, BytesBehindTheLineFeedAreNotTaken) {
  EXPECT_EQ(ReadWhole("CONNECT 5\nhello\n"), (Read{State::kComplete, 5, 10}));
}

TEST(ConnectLineTest, WrongLines) {
  for (const absl::string_view text :
       {"\n", " \n", "CONNECT\n", "CONNECT \n", "CONNECT5\n", "CONNEC 5\n",
        "CONNECTS 5\n", "CONNECT x\n", "CONNECT -1\n", "CONNECT +1\n",
        "CONNECT 0x5\n", "CONNECT 5 6\n", "CONNECT 4294967296\n",
        "CONNECT 99999999999999999999\n", "CONNECT 5;\n", "CONNECT 5.\n",
        "OK 5\n", "GET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(ReadWhole(text), (Read{State::kWrong, 0, text.size()})) << text;
  }
  constexpr absl::string_view kNull("CONNECT 5\0\n", 11);
  EXPECT_EQ(ReadWhole(kNull).state, State::kWrong);
}

// Lesson 16, bad inputs 36: a line without end.
TEST(ConnectLineTest, LineIsAtMost32Bytes) {
  const std::string spaces(22, ' ');
  EXPECT_EQ(ReadWhole(absl::StrCat("CONNECT 5", spaces, "\n")),
            (Read{State::kComplete, 5, 32}));
  EXPECT_EQ(ReadWhole(absl::StrCat("CONNECT 5", spaces, " \n")),
            (Read{State::kWrong, 0, 32}));
  EXPECT_EQ(ReadWhole(std::string(100, 'a')), (Read{State::kWrong, 0, 32}));
  EXPECT_EQ(ReadWhole("CONNECT 5"), (Read{State::kIncomplete, 0, 9}));
}

// Lesson 16: a line in two pieces was dropped, or its first piece lost.
TEST(ConnectLineTest, AnySplitGivesTheSame) {
  for (const absl::string_view text :
       {"CONNECT 52\nab", "connect 1\r\n\n", "CONNECT x\nabc", "CONN\n"}) {
    const Read whole = ReadWhole(text);
    for (uint64_t cuts = 0; cuts < uint64_t{1} << text.size(); ++cuts) {
      ASSERT_EQ(ReadInPieces(text, cuts), whole) << text << " " << cuts;
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
