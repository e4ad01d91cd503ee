#include "devices/virtio/net/backend/passt_stream.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Found = PasstStream::Found;

void Put(PasstStream& stream, const std::vector<uint8_t>& bytes) {
  const absl::Span<uint8_t> room = stream.Room();
  ASSERT_LE(bytes.size(), room.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  stream.Fill(bytes.size());
}

std::vector<uint8_t> Encoded(size_t bytes, uint8_t content) {
  std::vector<uint8_t> encoded(kPasstLengthBytes + bytes, content);
  for (int i = 0; i < 4; ++i) {
    encoded[i] = static_cast<uint8_t>(bytes >> (24 - 8 * i));
  }
  return encoded;
}

TEST(PasstStreamTest, SeveralFramesOfOnePiece) {
  PasstStream stream;
  std::vector<uint8_t> both = Encoded(3, 7);
  for (const uint8_t byte : Encoded(1, 8)) both.push_back(byte);
  Put(stream, both);
  absl::Span<const uint8_t> frame;
  ASSERT_EQ(stream.Next(frame), Found::kFrame);
  EXPECT_EQ(frame, (std::vector<uint8_t>{7, 7, 7}));
  ASSERT_EQ(stream.Next(frame), Found::kFrame);
  EXPECT_EQ(frame, (std::vector<uint8_t>{8}));
  EXPECT_EQ(stream.Next(frame), Found::kIncomplete);
}

TEST(PasstStreamTest, ByteByByte) {
  PasstStream stream;
  absl::Span<const uint8_t> frame;
  const std::vector<uint8_t> encoded = Encoded(300, 7);
  for (int round = 0; round < 2; ++round) {
    for (const uint8_t byte : encoded) {
      ASSERT_EQ(stream.Next(frame), Found::kIncomplete);
      Put(stream, {byte});
    }
    ASSERT_EQ(stream.Next(frame), Found::kFrame);
    EXPECT_EQ(frame, std::vector<uint8_t>(300, 7));
  }
}

TEST(PasstStreamTest, LargestFrameAlwaysHasRoom) {
  PasstStream stream;
  absl::Span<const uint8_t> frame;
  const std::vector<uint8_t> encoded = Encoded(kNetMaxFrameBytes, 7);
  for (int round = 0; round < 20; ++round) {
    // Split elsewhere each time.
    const auto split = encoded.begin() + 1 + round * 3000;
    Put(stream, {encoded.begin(), split});
    ASSERT_EQ(stream.Next(frame), Found::kIncomplete);
    Put(stream, {split, encoded.end()});
    ASSERT_EQ(stream.Next(frame), Found::kFrame);
    ASSERT_EQ(frame.size(), kNetMaxFrameBytes);
  }
}

TEST(PasstStreamTest, EmptyFrameBreaksTheStreamForGood) {
  PasstStream stream;
  absl::Span<const uint8_t> frame;
  Put(stream, {0, 0, 0, 0});
  EXPECT_EQ(stream.Next(frame), Found::kBroken);
  Put(stream, Encoded(3, 7));
  EXPECT_EQ(stream.Next(frame), Found::kBroken);
}

TEST(PasstStreamTest, FrameBeyondTheLargestBreaksTheStreamAtOnce) {
  for (const uint32_t length : {static_cast<uint32_t>(kNetMaxFrameBytes + 1),
                                0x7fffffffu, 0xfffffffcu, 0xffffffffu}) {
    PasstStream stream;
    absl::Span<const uint8_t> frame;
    std::vector<uint8_t> prefix = Encoded(0, 0);
    for (int i = 0; i < 4; ++i) {
      prefix[i] = static_cast<uint8_t>(length >> (24 - 8 * i));
    }
    Put(stream, prefix);
    EXPECT_EQ(stream.Next(frame), Found::kBroken) << length;
  }
}

}  // namespace
}  // namespace annulus::virtio
