#include "devices/virtio/net/backend/frame_ring.h"

#include <algorithm>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Frame `n` of a sequence: length and content follow from n.
size_t LengthOf(uint32_t n) {
  std::minstd_rand random(n + 1);
  return random() % 8 == 0 ? random() % FrameRing::kMaxFrameBytes + 1
                           : random() % 100 + 1;
}

bool Write(FrameRing& ring, uint32_t n) {
  uint8_t* const room = ring.Reserve(LengthOf(n));
  if (room == nullptr) return false;
  std::fill_n(room, LengthOf(n), static_cast<uint8_t>(n));
  ring.Commit();
  return true;
}

bool IsFrame(absl::Span<const uint8_t> frame, uint32_t n) {
  return frame.size() == LengthOf(n) &&
         std::all_of(frame.begin(), frame.end(), [n](uint8_t byte) {
           return byte == static_cast<uint8_t>(n);
         });
}

TEST(FrameRingTest, EmptyRingHasNoFront) {
  FrameRing ring;
  EXPECT_TRUE(ring.Front().empty());
  ASSERT_NE(ring.Reserve(5), nullptr);
  EXPECT_TRUE(ring.Front().empty()) << "seen before Commit()";
}

// A reader that keeps up leaves the writer in the same few pages; nothing is
// lost on the way back to the beginning, where frames of any size are next.
TEST(FrameRingTest, RingThatIsEmptyAgainStartsAnew) {
  FrameRing ring;
  const uint8_t* const first = ring.Reserve(1);
  ASSERT_NE(first, nullptr);
  const uint8_t* last = first;
  for (const size_t size :
       {size_t{1512}, size_t{100}, size_t{60'000}, FrameRing::kMaxFrameBytes}) {
    for (int batch = 0; batch < 300; ++batch) {
      uint8_t* rooms[3];
      for (uint8_t*& room : rooms) {
        room = ring.Reserve(size);
        ASSERT_NE(room, nullptr) << batch;
        room[size - 1] = static_cast<uint8_t>(batch);
        ring.Keep();
      }
      ring.Publish();
      last = std::max<const uint8_t*>(last, rooms[2] + size);
      FrameRing::Position position = ring.oldest();
      for (const uint8_t* const room : rooms) {
        const absl::Span<const uint8_t> frame = ring.Next(position);
        ASSERT_EQ(frame.data(), room);
        ASSERT_EQ(frame.size(), size);
        EXPECT_EQ(frame.back(), static_cast<uint8_t>(batch));
      }
      EXPECT_TRUE(ring.Next(position).empty());
      ring.PopTo(position);
    }
    if (size == 1512) {
      EXPECT_LT(last - first, 64 * 1024);
    }
  }
}

// It has room for all that it ever has, also before the reader knows.
TEST(FrameRingTest, RingThatStartedAnewIsAsLarge) {
  constexpr size_t kSize = 1000;
  FrameRing ring;
  for (int lap = 0; lap < 5; ++lap) {
    for (int n = 0; n < 40; ++n) {
      ASSERT_NE(ring.Reserve(kSize), nullptr);
      ring.Commit();
      ASSERT_FALSE(ring.Front().empty());
      ring.Pop();
    }
    size_t count = 0;
    while (uint8_t* const room = ring.Reserve(kSize)) {
      std::fill_n(room, kSize, static_cast<uint8_t>(count++));
      ring.Commit();
    }
    EXPECT_GE(count, FrameRing::kBytes / 1008 - 1);
    for (size_t n = 0; n < count; ++n) {
      ASSERT_EQ(ring.Front().size(), kSize) << n;
      EXPECT_EQ(ring.Front()[7], static_cast<uint8_t>(n));
      EXPECT_EQ(ring.Front()[kSize - 1], static_cast<uint8_t>(n));
      ring.Pop();
    }
    EXPECT_TRUE(ring.Front().empty());
  }
}

TEST(FrameRingTest, StartWithoutAFrameIsNoFrame) {
  FrameRing ring;
  for (int n = 0; n < 50; ++n) {
    ASSERT_NE(ring.Reserve(1000), nullptr);
    ring.Commit();
    ASSERT_FALSE(ring.Front().empty());
    ring.Pop();
    ASSERT_NE(ring.Reserve(1000), nullptr);  // And given up.
    ring.Publish();
    EXPECT_TRUE(ring.Front().empty());
  }
}

TEST(FrameRingTest, FramesThatAreKeptAreSeenTogether) {
  FrameRing ring;
  for (uint8_t n = 0; n < 3; ++n) {
    uint8_t* const room = ring.Reserve(5);
    ASSERT_NE(room, nullptr);
    room[0] = n;
    ring.Keep();
    EXPECT_TRUE(ring.Front().empty());
  }
  ASSERT_NE(ring.Reserve(7), nullptr);  // And given up.
  ring.Publish();
  for (uint8_t n = 0; n < 3; ++n) {
    ASSERT_EQ(ring.Front().size(), 5u);
    EXPECT_EQ(ring.Front()[0], n);
    ring.Pop();
  }
  EXPECT_TRUE(ring.Front().empty());
}

TEST(FrameRingTest, FullRingTakesNoMoreUntilOneIsRead) {
  FrameRing ring;
  int frames = 0;
  while (uint8_t* const room = ring.Reserve(1000)) {
    room[0] = static_cast<uint8_t>(frames);
    ring.Commit();
    ++frames;
  }
  EXPECT_EQ(frames, FrameRing::kBytes / 1008);
  EXPECT_EQ(ring.Reserve(1000), nullptr);
  EXPECT_EQ(ring.Front()[0], 0);
  ring.Pop();
  EXPECT_EQ(ring.Front()[0], 1);
  // What was skipped at the end has to be free as well.
  ring.Pop();
  EXPECT_NE(ring.Reserve(1000), nullptr);
}

TEST(FrameRingTest, EmptyRingTakesTheLargestWhereverItsEndsAre) {
  FrameRing ring;
  for (size_t at = 0; at < 2 * FrameRing::kBytes; at += 16 * 1009) {
    uint8_t* const largest = ring.Reserve(FrameRing::kMaxFrameBytes);
    ASSERT_NE(largest, nullptr);
    largest[FrameRing::kMaxFrameBytes - 1] = 7;
    ring.Commit();
    EXPECT_EQ(ring.Front().size(), FrameRing::kMaxFrameBytes);
    EXPECT_EQ(ring.Front().back(), 7);
    ring.Pop();
    ASSERT_NE(ring.Reserve(16 * 1009), nullptr);
    ring.Commit();
    ring.Front();
    ring.Pop();
  }
}

TEST(FrameRingTest, AnyInterleavingKeepsOrderAndContent) {
  FrameRing ring;
  std::minstd_rand random(1);
  uint32_t written = 0;
  uint32_t read = 0;
  while (read < 5000) {
    for (uint32_t i = random() % 10; i > 0 && Write(ring, written); --i) {
      ++written;
    }
    for (uint32_t i = random() % 10; i > 0 && read < written; --i) {
      ASSERT_TRUE(IsFrame(ring.Front(), read)) << read;
      ring.Pop();
      ++read;
    }
    if (read == written) {
      ASSERT_TRUE(ring.Front().empty());
    }
  }
}

TEST(FrameRingTest, TwoThreads) {
  FrameRing ring;
  constexpr uint32_t kFrames = 3000;
  std::thread writer([&] {
    for (uint32_t n = 0; n < kFrames; ++n) {
      while (!Write(ring, n)) std::this_thread::yield();
    }
  });
  uint32_t wrong = 0;
  for (uint32_t n = 0; n < kFrames; ++n) {
    while (ring.Front().empty()) std::this_thread::yield();
    if (!IsFrame(ring.Front(), n)) ++wrong;
    ring.Pop();
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace annulus::virtio
