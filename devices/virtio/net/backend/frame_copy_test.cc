#include "devices/virtio/net/backend/frame_copy.h"

#include <algorithm>
#include <array>
#include <string>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(FrameCopyTest, GathersUpToTheSize) {
  char parts[] = "abcdef";
  const iovec vectors[] = {{parts, 1}, {parts + 1, 0}, {parts + 3, 3}};
  std::string to(8, '-');
  auto* const out = reinterpret_cast<uint8_t*>(to.data());
  EXPECT_EQ(GatherFrame(vectors, out, 8), 4u);
  EXPECT_EQ(to, "adef----");
  EXPECT_EQ(GatherFrame(vectors, out + 4, 2), 2u);
  EXPECT_EQ(to, "adefad--");
}

TEST(FrameCopyTest, ScattersFromAnyByteOnUntilTheRoomEnds) {
  std::string room = "..........";
  const iovec vectors[] = {
      {room.data(), 3}, {room.data() + 3, 0}, {room.data() + 4, 4}};
  EXPECT_EQ(ScatterFrame(Bytes("ab"), vectors), 2u);
  EXPECT_EQ(room, "ab........");
  EXPECT_EQ(ScatterFrame(Bytes("cdefgh"), vectors, 2), 5u);
  EXPECT_EQ(room, "abc.defg..");
  EXPECT_EQ(ScatterFrame(Bytes("x"), vectors, 7), 0u);
  EXPECT_EQ(ScatterFrame(Bytes("y"), vectors, 3), 1u);
  EXPECT_EQ(room, "abc.yefg..");
}

TEST(FrameCopyTest, PlainFrameOfAnySizeLiesBehindItsHeaderAndNowhereElse) {
  const std::string header("\0\0\0\0\0\0\0\0\0\0\1\0", 12);
  for (size_t size = 1; size <= 300; ++size) {
    std::string frame;
    for (size_t i = 0; i < size; ++i) frame += static_cast<char>(i * 7 + size);
    std::string room(size + 20, '.');
    CopyPlainFrame(Bytes(frame), {room.data() + 4, room.size() - 4});
    EXPECT_EQ(room, "...." + header + frame + "....");
    // As where it lay before, and wherever lines of the cache end.
    for (size_t at = 0; at <= 64; ++at) {
      for (const char before : {'\0', '\1'}) {
        alignas(64) std::array<char, 512> lines;
        lines.fill(before);
        if (before == '\1') std::copy(header.begin(), header.end(), &lines[at]);
        CopyPlainFrame(Bytes(frame), {&lines[at], header.size() + size});
        ASSERT_EQ(std::string(&lines[at], header.size() + size),
                  header + frame);
      }
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
