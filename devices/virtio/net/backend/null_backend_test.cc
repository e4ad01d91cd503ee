#include "devices/virtio/net/backend/null_backend.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(NullBackendTest, SentFramesAreCounted) {
  auto backend = NullBackend::Create({.queue_pairs = 2});
  ASSERT_TRUE(backend.ok());
  std::array<uint8_t, 76> frame = {};
  const iovec vectors[] = {{frame.data(), 12}, {frame.data() + 12, 64}};
  NetBackendQueue& queue = (*backend)->queue(1);
  for (int i = 0; i < 3; ++i) {
    const Transfer sent = queue.Send(vectors, 76);
    EXPECT_EQ(sent.status, TransferStatus::kDone);
    EXPECT_EQ(sent.bytes, 76u);
  }
  EXPECT_EQ((*backend)->queue(1).frames_sent(), 3u);
  EXPECT_EQ((*backend)->queue(1).bytes_sent(), 3u * 64);
  EXPECT_EQ((*backend)->queue(0).frames_sent(), 0u);
}

TEST(NullBackendTest, NothingComesAndThereIsNothingToWaitFor) {
  auto backend = NullBackend::Create({});
  ASSERT_TRUE(backend.ok());
  NetBackendQueue& queue = (*backend)->queue(0);
  std::array<uint8_t, 76> room = {};
  const iovec vectors[] = {{room.data(), 12}, {room.data() + 12, 64}};
  EXPECT_EQ(queue.Receive(vectors).status, TransferStatus::kAgain);
  EXPECT_EQ(queue.readable_fd(), -1);
  EXPECT_TRUE((*backend)->link_up());
}

TEST(NullBackendTest, GeneratedFramesFillTheRoomAfterAZeroHeader) {
  auto backend = NullBackend::Create({.generate_bytes = 64});
  ASSERT_TRUE(backend.ok());
  NetBackendQueue& queue = (*backend)->queue(0);
  std::array<uint8_t, 100> room;
  for (int i = 0; i < 2; ++i) {
    room.fill(0xee);
    const iovec vectors[] = {
        {room.data(), 12}, {room.data() + 12, 5}, {room.data() + 17, 80}};
    const Transfer received = queue.Receive(vectors);
    EXPECT_EQ(received.status, TransferStatus::kDone);
    EXPECT_EQ(received.bytes, 76u);
    EXPECT_TRUE(std::all_of(room.begin(), room.begin() + 12,
                            [](uint8_t byte) { return byte == 0; }));
    EXPECT_TRUE(std::all_of(room.begin() + 12, room.begin() + 18,
                            [](uint8_t byte) { return byte == 0xff; }));
    EXPECT_EQ(room[75], 0);
    EXPECT_EQ(room[76], 0xee);
  }
}

TEST(NullBackendTest, GeneratedFrameBeyondItsRoomIsCutOff) {
  auto backend = NullBackend::Create({.generate_bytes = 64});
  ASSERT_TRUE(backend.ok());
  std::array<uint8_t, 40> room;
  room.fill(0xee);
  const iovec vectors[] = {{room.data(), 12}, {room.data() + 12, 20}};
  EXPECT_EQ((*backend)->queue(0).Receive(vectors).bytes, 76u);
  EXPECT_EQ(room[31], 0);
  EXPECT_EQ(room[32], 0xee);
}

TEST(NullBackendTest, OptionsOutOfRangeAreRefused) {
  for (const NullBackendOptions& options :
       {NullBackendOptions{.queue_pairs = 0},
        NullBackendOptions{.queue_pairs = 0x8001},
        NullBackendOptions{.generate_bytes = 13},
        NullBackendOptions{.generate_bytes = kNetMaxFrameBytes + 1}}) {
    EXPECT_EQ(NullBackend::Create(options).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(NullBackendTest, FramesSentAtOnceAreCounted) {
  auto backend = NullBackend::Create({});
  ASSERT_TRUE(backend.ok());
  std::array<uint8_t, 100> frame = {};
  const iovec frames[] = {{frame.data(), 100}, {frame.data(), 60}};
  EXPECT_EQ((*backend)->queue(0).SendPlain(frames), 2u);
  EXPECT_EQ((*backend)->queue(0).frames_sent(), 2u);
  EXPECT_EQ((*backend)->queue(0).bytes_sent(), 160u);
}

TEST(NullBackendTest, GeneratedFramesAreCopiedAsLongAsTheyFit) {
  auto backend = NullBackend::Create({.generate_bytes = 64});
  ASSERT_TRUE(backend.ok());
  NetBackendQueue& queue = (*backend)->queue(0);
  std::array<std::array<uint8_t, 80>, 4> rooms;
  for (auto& room : rooms) room.fill(0xee);
  const iovec vectors[] = {{rooms[0].data(), 80},
                           {rooms[1].data(), 76},
                           {rooms[2].data(), 75},
                           {rooms[3].data(), 80}};
  std::array<uint32_t, 4> bytes = {};
  EXPECT_EQ(queue.CopyPlain(vectors, absl::MakeSpan(bytes)), 2u);
  queue.TakeCopied();
  EXPECT_EQ(bytes, (std::array<uint32_t, 4>{76, 76, 0, 0}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::equal(kPlainReceiveHeader.begin(),
                           kPlainReceiveHeader.end(), rooms[i].begin()));
    EXPECT_EQ(rooms[i][12], 0xff);
    EXPECT_EQ(rooms[i][75], 0);
    EXPECT_EQ(rooms[i][76], 0xee);
  }
}

TEST(NullBackendTest, NothingIsCopiedWhereNothingComes) {
  auto backend = NullBackend::Create({});
  ASSERT_TRUE(backend.ok());
  std::array<uint8_t, 76> room = {};
  const iovec vectors[] = {{room.data(), 76}};
  std::array<uint32_t, 1> bytes = {};
  EXPECT_EQ((*backend)->queue(0).CopyPlain(vectors, absl::MakeSpan(bytes)), 0u);
}

}  // namespace
}  // namespace annulus::virtio
