#include "devices/virtio/net/backend/frame_inbox.h"

#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

bool Put(FrameInbox& inbox, uint64_t number) {
  uint8_t* const room = inbox.Reserve(sizeof(number));
  if (room == nullptr) return false;
  std::memcpy(room, &number, sizeof(number));
  inbox.Commit();
  return true;
}

bool Readable(const FrameInbox& inbox, int timeout) {
  pollfd fd = {inbox.fd(), POLLIN, 0};
  return ::poll(&fd, 1, timeout) == 1;
}

TEST(FrameInboxTest, OnlyAReaderThatWaitsIsWoken) {
  FrameInbox inbox(EventFd::Create().value());
  ASSERT_TRUE(Put(inbox, 1));
  EXPECT_FALSE(Readable(inbox, 0)) << "nobody waits";
  EXPECT_FALSE(inbox.FrontOrArm().empty());
  inbox.Pop();
  EXPECT_TRUE(inbox.FrontOrArm().empty());
  EXPECT_FALSE(Readable(inbox, 0)) << "there is nothing";
  ASSERT_TRUE(Put(inbox, 2));
  EXPECT_TRUE(Readable(inbox, 0));
  EXPECT_FALSE(inbox.FrontOrArm().empty());
  inbox.Pop();
  // Who looks again, and finds nothing, is not woken by what was.
  EXPECT_TRUE(inbox.FrontOrArm().empty());
  EXPECT_FALSE(Readable(inbox, 0));
}

// Whether the reader waited or not, it does for the next one.
TEST(FrameInboxTest, WhatIsDiscardedDoesNotCome) {
  FrameInbox inbox(EventFd::Create().value());
  for (const bool waits : {false, true}) {
    if (waits) {
      EXPECT_TRUE(inbox.FrontOrArm().empty());
    }
    while (Put(inbox, 1)) {
    }
    inbox.Discard();
    EXPECT_TRUE(inbox.FrontOrArm().empty());
    EXPECT_FALSE(Readable(inbox, 0));
    ASSERT_TRUE(Put(inbox, 2));
    EXPECT_TRUE(Readable(inbox, 0));
    EXPECT_EQ(inbox.FrontOrArm().size(), sizeof(uint64_t));
    inbox.Pop();
  }
}

// A wake-up that got lost would leave the reader asleep for good.
TEST(FrameInboxTest, WritersThatTakeTurnsNeverLeaveTheReaderAsleep) {
  constexpr uint64_t kFrames = 20000;
  constexpr uint64_t kWriters = 3;
  FrameInbox inbox(EventFd::Create().value());
  Mutex turn;
  std::vector<std::thread> writers;
  for (uint64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint64_t i = 0; i < kFrames;) {
        const MutexLock lock(turn);
        if (Put(inbox, writer << 32 | i)) ++i;
      }
    });
  }
  std::array<uint64_t, kWriters> next = {};
  for (uint64_t seen = 0; seen < kWriters * kFrames;) {
    const absl::Span<const uint8_t> front = inbox.FrontOrArm();
    if (front.empty()) {
      ASSERT_TRUE(Readable(inbox, -1));
      continue;
    }
    uint64_t number;
    ASSERT_EQ(front.size(), sizeof(number));
    std::memcpy(&number, front.data(), sizeof(number));
    inbox.Pop();
    ASSERT_EQ(number & 0xffffffff, next[number >> 32]++);
    ++seen;
  }
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace annulus::virtio
