#include "devices/virtio/vsock/connection/spill_buffer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

void Append(SpillBuffer& buffer, absl::string_view bytes, size_t segment) {
  while (!bytes.empty()) {
    const absl::Span<uint8_t> room = buffer.Room(bytes.size(), segment);
    std::memcpy(room.data(), bytes.data(), room.size());
    buffer.CommitRoom(room.size());
    bytes.remove_prefix(room.size());
  }
}

std::string Front(const SpillBuffer& buffer, size_t most) {
  std::array<iovec, 64> vectors;
  const size_t count = buffer.Front(most, absl::MakeSpan(vectors));
  std::string bytes;
  for (size_t i = 0; i < count; ++i) {
    bytes.append(static_cast<const char*>(vectors[i].iov_base),
                 vectors[i].iov_len);
  }
  return bytes;
}

TEST(SpillBufferTest, BytesComeOutAsTheyWentInOverSegments) {
  SpillBuffer buffer;
  Append(buffer, "hello, world", 5);
  EXPECT_EQ(buffer.size(), 12u);
  EXPECT_EQ(Front(buffer, 100), "hello, world");
  EXPECT_EQ(Front(buffer, 3), "hel");
  buffer.Consume(6);
  EXPECT_EQ(Front(buffer, 100), " world");
  buffer.Consume(6);
  EXPECT_TRUE(buffer.empty());
}

TEST(SpillBufferTest, RoomStaysWhenAllBeforeItIsTaken) {
  SpillBuffer buffer;
  Append(buffer, "abc", 8);
  const absl::Span<uint8_t> room = buffer.Room(5, 8);
  buffer.Consume(3);
  ASSERT_EQ(room.size(), 5u);
  std::memcpy(room.data(), "defgh", 5);
  buffer.CommitRoom(5);
  EXPECT_EQ(Front(buffer, 100), "defgh");
}

TEST(SpillBufferTest, RoomThatIsNotUsedIsGivenBack) {
  SpillBuffer buffer;
  ASSERT_EQ(buffer.Room(5, 8).size(), 5u);
  buffer.CommitRoom(0);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(Front(buffer, 100), "");
}

// facts 3.9 #4: "fuzz the ring buffer".
TEST(SpillBufferTest, RandomUseAgreesWithAString) {
  std::mt19937 random(2);
  SpillBuffer buffer;
  std::string model;
  for (int step = 0; step < 100'000; ++step) {
    if (random() % 2 == 0 && model.size() < 500) {
      std::string bytes(1 + random() % 40, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      Append(buffer, bytes, 16);
      model += bytes;
    } else {
      const size_t count = random() % (model.size() + 1);
      ASSERT_EQ(Front(buffer, count), model.substr(0, count));
      buffer.Consume(count);
      model.erase(0, count);
    }
    ASSERT_EQ(buffer.size(), model.size());
  }
}

}  // namespace
}  // namespace annulus::virtio
