#include "devices/virtio/net/switch/switch_inbox.h"

#include <poll.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

bool Readable(const SwitchInbox& inbox, int timeout_ms) {
  pollfd fd = {inbox.fd(), POLLIN, 0};
  return ::poll(&fd, 1, timeout_ms) == 1;
}

bool Keep(SwitchInbox& inbox, size_t sender, uint64_t number) {
  uint8_t* const room = inbox.ring(sender).Reserve(sizeof(number));
  if (room == nullptr) return false;
  std::memcpy(room, &number, sizeof(number));
  inbox.ring(sender).Keep();
  return true;
}

void Publish(SwitchInbox& inbox, size_t sender) {
  inbox.ring(sender).Publish();
  inbox.Announce(sender);
}

bool Put(SwitchInbox& inbox, size_t sender, uint64_t number) {
  if (!Keep(inbox, sender, number)) return false;
  Publish(inbox, sender);
  return true;
}

uint64_t Take(SwitchInbox& inbox) {
  const absl::Span<const uint8_t> front = inbox.Front();
  uint64_t number = ~uint64_t{0};
  if (front.empty()) return number;
  std::memcpy(&number, front.data(), sizeof(number));
  inbox.Pop();
  return number;
}

constexpr uint64_t kNothing = ~uint64_t{0};

class SwitchInboxTest : public testing::Test {
 protected:
  SwitchInboxTest() {
    for (const size_t sender : {size_t{0}, size_t{5}, size_t{62}}) {
      inbox_.AddRing(sender);
    }
  }
  SwitchInbox inbox_{EventFd::Create().value()};
};

TEST_F(SwitchInboxTest, FramesOfOneSenderKeepTheirOrder) {
  EXPECT_EQ(Take(inbox_), kNothing);
  ASSERT_TRUE(Keep(inbox_, 5, 1));
  ASSERT_TRUE(Keep(inbox_, 5, 2));
  EXPECT_EQ(Take(inbox_), kNothing) << "not announced";
  Publish(inbox_, 5);
  EXPECT_EQ(Take(inbox_), 1u);
  EXPECT_EQ(Take(inbox_), 2u);
  EXPECT_EQ(Take(inbox_), kNothing);
}

// Nobody who sends without end keeps the others from being heard.
TEST_F(SwitchInboxTest, SendersTakeTurns) {
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(Put(inbox_, 5, i));
  EXPECT_EQ(Take(inbox_), 0u);
  ASSERT_TRUE(Put(inbox_, 0, 10'000));
  ASSERT_TRUE(Put(inbox_, 62, 20'000));
  uint32_t others = 0;
  for (uint32_t i = 0; i < 2 * SwitchInbox::kMaxRun; ++i) {
    others += Take(inbox_) >= 10'000;
  }
  EXPECT_EQ(others, 2u);
}

TEST_F(SwitchInboxTest, ReaderIsWokenOncePerSleep) {
  EXPECT_EQ(Take(inbox_), kNothing);
  EXPECT_EQ(Take(inbox_), kNothing) << "asleep already";
  EXPECT_FALSE(Readable(inbox_, 0));
  ASSERT_TRUE(Put(inbox_, 0, 1));
  EXPECT_TRUE(Readable(inbox_, 0));
  ASSERT_TRUE(Put(inbox_, 5, 2));
  EXPECT_EQ(Take(inbox_) + Take(inbox_), 3u) << "in any order";
  EXPECT_EQ(Take(inbox_), kNothing);
  EXPECT_FALSE(Readable(inbox_, 0)) << "there is nothing";
  ASSERT_TRUE(Put(inbox_, 62, 3));
  EXPECT_TRUE(Readable(inbox_, 0));
}

// Whose reader is awake pays for no system call.
TEST_F(SwitchInboxTest, ReaderThatPollsIsNeverSignalled) {
  inbox_.SetPolled(true);
  EXPECT_EQ(Take(inbox_), kNothing);
  ASSERT_TRUE(Put(inbox_, 0, 1));
  EXPECT_FALSE(Readable(inbox_, 0));
  EXPECT_EQ(Take(inbox_), 1u);
  EXPECT_EQ(Take(inbox_), kNothing);
  inbox_.SetPolled(false);
  EXPECT_EQ(Take(inbox_), kNothing);
  ASSERT_TRUE(Put(inbox_, 0, 2));
  EXPECT_TRUE(Readable(inbox_, 0));
}

TEST_F(SwitchInboxTest, WhatIsDiscardedDoesNotCome) {
  ASSERT_TRUE(Put(inbox_, 0, 1));
  ASSERT_TRUE(Put(inbox_, 62, 1));
  inbox_.Discard();
  EXPECT_EQ(Take(inbox_), kNothing);
  ASSERT_TRUE(Put(inbox_, 0, 2));
  EXPECT_EQ(Take(inbox_), 2u);
}

// A wake-up that got lost would leave the reader asleep for good; a signal that
// is never taken would not let it sleep any more.
TEST_F(SwitchInboxTest, SendersNeverLeaveTheReaderAsleep) {
  constexpr uint64_t kFrames = 30'000;
  constexpr std::array<size_t, 3> kSenders = {0, 5, 62};
  std::vector<std::thread> senders;
  for (const size_t sender : kSenders) {
    senders.emplace_back([this, sender] {
      for (uint64_t i = 0; i < kFrames;) {
        // Batches of several lengths, and some that are empty.
        for (uint64_t n = i % 7; n > 0 && i < kFrames; --n) {
          if (!Keep(inbox_, sender, uint64_t{sender} << 32 | i)) break;
          ++i;
        }
        if (i % 7 == 0 && Keep(inbox_, sender, uint64_t{sender} << 32 | i)) ++i;
        Publish(inbox_, sender);
      }
    });
  }
  std::array<uint64_t, SwitchInbox::kMaxSenders> next = {};
  for (uint64_t seen = 0; seen < kSenders.size() * kFrames;) {
    const uint64_t number = Take(inbox_);
    if (number == kNothing) {
      ASSERT_TRUE(Readable(inbox_, -1));
      continue;
    }
    const uint64_t i = number & 0xffffffff;
    if (i >= kFrames) continue;  // One more than was asked for.
    ASSERT_EQ(i, next[number >> 32]++);
    ++seen;
  }
  for (std::thread& sender : senders) sender.join();
  // A signal may be left; not for ever.
  while (Take(inbox_) != kNothing) {
  }
  EXPECT_EQ(Take(inbox_), kNothing);
  EXPECT_FALSE(Readable(inbox_, 0));
}

}  // namespace
}  // namespace annulus::virtio
