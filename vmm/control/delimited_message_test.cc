#include "vmm/control/delimited_message.h"

#include <string>

#include "google/protobuf/util/delimited_message_util.h"
#include "gtest/gtest.h"
#include "proto/control.pb.h"

namespace annulus {
namespace {

std::string Stream(uint32_t card) {
  proto::ControlRequest request;
  request.mutable_link()->set_card(card);
  std::string stream;
  AppendDelimited(request, stream);
  return stream;
}

TEST(DelimitedMessageTest, IsWhatProtobufItselfWrites) {
  proto::ControlReply reply;
  // Lengths of one, two and three bytes.
  for (const size_t size : {0, 100, 1000, 100000}) {
    reply.set_error(std::string(size, 'x'));
    std::string ours;
    AppendDelimited(reply, ours);
    std::ostringstream theirs;
    google::protobuf::util::SerializeDelimitedToOstream(reply, &theirs);
    EXPECT_EQ(ours, theirs.str());
  }
}

TEST(DelimitedMessageTest, MessagesComeInAnyPieces) {
  const std::string stream = Stream(1) + Stream(70000) + Stream(2);
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    DelimitedReader reader(100);
    std::vector<uint32_t> cards;
    for (size_t at = 0; at < stream.size(); at += piece) {
      reader.Append(absl::string_view(stream).substr(at, piece));
      while (const auto message = reader.Next()) {
        proto::ControlRequest request;
        ASSERT_TRUE(request.ParseFromString(std::string(*message)));
        cards.push_back(request.link().card());
      }
    }
    EXPECT_EQ(cards, std::vector<uint32_t>({1, 70000, 2})) << piece;
    EXPECT_EQ(reader.pending(), 0u);
    EXPECT_TRUE(reader.status().ok());
  }
}

TEST(DelimitedMessageTest, GreatestMessageIsTakenAndOneMoreByteRefused) {
  DelimitedReader reader(300);
  reader.Append(std::string("\xac\x02", 2) + std::string(300, 'x'));  // 300.
  EXPECT_EQ(reader.Next()->size(), 300u);
  reader.Append("\xad\x02");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_TRUE(absl::IsResourceExhausted(reader.status()));
  // For good.
  reader.Append(Stream(1));
  EXPECT_FALSE(reader.Next().has_value());
}

TEST(DelimitedMessageTest, LengthThatNeverEndsIsRefused) {
  DelimitedReader reader(300);
  reader.Append("\x80\x80\x80\x80");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_TRUE(reader.status().ok());
  reader.Append("\x80");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(reader.status()));
}

}  // namespace
}  // namespace annulus
