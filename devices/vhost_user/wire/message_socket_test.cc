#include "devices/vhost_user/wire/message_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

std::vector<uint8_t> Bytes(uint32_t request, uint32_t flags, uint32_t size,
                           size_t payload) {
  const std::array<uint32_t, 3> header = {request, flags, size};
  std::vector<uint8_t> bytes(kHeaderBytes + payload);
  std::memcpy(bytes.data(), header.data(), kHeaderBytes);
  for (size_t i = 0; i < payload; ++i) {
    bytes[kHeaderBytes + i] = static_cast<uint8_t>(i + 1);
  }
  return bytes;
}

// One end is a MessageSocket, the other a peer that may write anything.
class MessageSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = OpenDescriptors();
    NewPair();
  }

  void TearDown() override {
    ours_.reset();
    peer_.reset();
    stop_.reset();
    EXPECT_EQ(OpenDescriptors(), before_) << "a descriptor leaked";
  }

  void NewPair() {
    std::array<int, 2> ends;
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()),
              0);
    ours_ = std::make_unique<MessageSocket>(UniqueFd(ends[0]));
    peer_.reset(ends[1]);
    absl::StatusOr<EventFd> stop = EventFd::Create();
    ASSERT_TRUE(stop.ok());
    stop_ = std::make_unique<EventFd>(*std::move(stop));
  }

  // Writes `bytes` with `count` descriptors of /dev/null.
  void Write(absl::Span<const uint8_t> bytes, size_t count = 0) {
    iovec from = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 32)> control;
    msghdr header = {};
    header.msg_iov = &from;
    header.msg_iovlen = 1;
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (count > 0) {
      header.msg_control = control.data();
      header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
      cmsghdr* const item = CMSG_FIRSTHDR(&header);
      item->cmsg_level = SOL_SOCKET;
      item->cmsg_type = SCM_RIGHTS;
      item->cmsg_len = CMSG_LEN(sizeof(int) * count);
      for (size_t i = 0; i < count; ++i) {
        const int fd = null.get();
        std::memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof(int));
      }
    }
    ASSERT_EQ(::sendmsg(peer_.get(), &header, 0),
              static_cast<ssize_t>(bytes.size()));
  }

  absl::StatusOr<Message> Receive(
      absl::Duration timeout = absl::InfiniteDuration()) {
    return ours_->Receive(*stop_, timeout);
  }

  absl::StatusCode ReceiveCode(
      absl::Duration timeout = absl::InfiniteDuration()) {
    return Receive(timeout).status().code();
  }

  size_t before_ = 0;
  std::unique_ptr<MessageSocket> ours_;
  std::unique_ptr<EventFd> stop_;
  UniqueFd peer_;
};

TEST_F(MessageSocketTest, ReadsNumbersPayloadAndDescriptors) {
  Write(Bytes(5, kVersion | kFlagNeedReply, 8, 8), /*count=*/3);
  const absl::StatusOr<Message> message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->request, 5u);
  EXPECT_TRUE(message->need_reply());
  EXPECT_EQ(message->Payload<uint64_t>(), 0x0807060504030201u);
  EXPECT_EQ(message->Payload<uint32_t>(), std::nullopt);
  ASSERT_EQ(message->fds.size(), 3u);
  for (const UniqueFd& fd : message->fds) {
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST_F(MessageSocketTest, WhatOneEndSendsTheOtherReceives) {
  MessageSocket other(std::move(peer_));
  Message sent = MakeMessage(9, kFlagReply, VringAddress{.index = 7, .log = 4});
  for (size_t i = 0; i < kMaxFds; ++i) {
    sent.fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  ASSERT_TRUE(other.Send(sent, *stop_, absl::InfiniteDuration()).ok());
  const absl::StatusOr<Message> message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->flags, kVersion | kFlagReply);
  ASSERT_TRUE(message->Payload<VringAddress>().has_value());
  EXPECT_EQ(message->Payload<VringAddress>()->index, 7u);
  EXPECT_EQ(message->Payload<VringAddress>()->log, 4u);
  EXPECT_EQ(message->fds.size(), kMaxFds);
  EXPECT_TRUE(sent.fds.front().valid()) << "the caller's remain the caller's";
}

TEST_F(MessageSocketTest, MessagesWithoutPauseStayApart) {
  std::vector<uint8_t> both = Bytes(1, kVersion, 0, 0);
  const std::vector<uint8_t> second = Bytes(2, kVersion, 4, 4);
  both.insert(both.end(), second.begin(), second.end());
  Write(both);
  Write(Bytes(3, kVersion, 4, 4), /*count=*/1);
  EXPECT_EQ(Receive()->request, 1u);
  EXPECT_EQ(Receive()->request, 2u);
  const absl::StatusOr<Message> third = Receive();
  EXPECT_EQ(third->request, 3u);
  EXPECT_EQ(third->fds.size(), 1u);
}

TEST_F(MessageSocketTest, MessageMayComeByteByByte) {
  const std::vector<uint8_t> bytes = Bytes(5, kVersion, 264, 264);
  absl::StatusOr<Thread> writer = Thread::Start("writer", [&] {
    for (size_t i = 0; i < bytes.size(); ++i) {
      Write(absl::MakeConstSpan(bytes).subspan(i, 1), i == 0 ? 2 : 0);
    }
  });
  ASSERT_TRUE(writer.ok());
  const absl::StatusOr<Message> message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->fds.size(), 2u);
  EXPECT_EQ(message->bytes(), absl::MakeConstSpan(bytes).subspan(kHeaderBytes));
}

TEST_F(MessageSocketTest, LargestPayloadIsRead) {
  Write(Bytes(5, kVersion, kMaxPayloadBytes, kMaxPayloadBytes));
  const absl::StatusOr<Message> message = Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->payload.back(), static_cast<uint8_t>(kMaxPayloadBytes));
}

TEST_F(MessageSocketTest, LargerPayloadIsRefusedWithoutReadingIt) {
  for (const uint32_t size : {uint32_t{kMaxPayloadBytes} + 1, UINT32_MAX}) {
    NewPair();
    Write(Bytes(5, kVersion, size, 0), /*count=*/1);
    EXPECT_EQ(ReceiveCode(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(MessageSocketTest, OtherVersionIsRefused) {
  for (const uint32_t flags : {0u, 2u, 3u, kFlagReply}) {
    NewPair();
    Write(Bytes(1, flags, 0, 0), /*count=*/1);
    EXPECT_EQ(ReceiveCode(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(MessageSocketTest, HangUpBetweenMessagesIsTheEnd) {
  Write(Bytes(1, kVersion, 0, 0));
  peer_.reset();
  EXPECT_TRUE(Receive().ok());
  EXPECT_EQ(ReceiveCode(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReceiveCode(), absl::StatusCode::kOutOfRange);
}

TEST_F(MessageSocketTest, HangUpAtEachByteOfMessageIsAnError) {
  const std::vector<uint8_t> bytes = Bytes(9, kVersion, 40, 40);
  for (size_t length = 1; length < bytes.size(); ++length) {
    NewPair();
    Write(absl::MakeConstSpan(bytes).first(length), /*count=*/2);
    peer_.reset();
    EXPECT_EQ(ReceiveCode(), absl::StatusCode::kInvalidArgument) << length;
  }
}

// The kernel says ECONNRESET where the peer closes with a reply unread.
TEST_F(MessageSocketTest, HangUpOfPeerThatDidNotReadIsTheEnd) {
  ASSERT_TRUE(ours_
                  ->Send(MakeMessage(1, 0, uint64_t{0}), *stop_,
                         absl::InfiniteDuration())
                  .ok());
  peer_.reset();
  EXPECT_EQ(ReceiveCode(), absl::StatusCode::kOutOfRange);
}

TEST_F(MessageSocketTest, NineDescriptorsAreRefusedAndClosed) {
  for (const size_t count : {kMaxFds + 1, size_t{32}}) {
    NewPair();
    Write(Bytes(5, kVersion, 8, 8), count);
    EXPECT_EQ(ReceiveCode(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(MessageSocketTest, DescriptorsInTheMiddleAreRefusedAndClosed) {
  const std::vector<uint8_t> bytes = Bytes(5, kVersion, 40, 40);
  const absl::Span<const uint8_t> all = absl::MakeConstSpan(bytes);
  for (const size_t split : {kHeaderBytes, size_t{13}, bytes.size() - 1}) {
    NewPair();
    Write(all.first(split), /*count=*/1);
    Write(all.subspan(split), /*count=*/2);
    EXPECT_EQ(ReceiveCode(), absl::StatusCode::kInvalidArgument) << split;
  }
}

TEST_F(MessageSocketTest, TimeIsLimited) {
  EXPECT_EQ(ReceiveCode(absl::ZeroDuration()),
            absl::StatusCode::kDeadlineExceeded);
  // Of the whole message, not of each piece.
  Write(absl::MakeConstSpan(Bytes(5, kVersion, 40, 40)).first(20));
  EXPECT_EQ(ReceiveCode(absl::Milliseconds(1)),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(MessageSocketTest, StopEndsWaitAndGoesBeforeMessages) {
  absl::StatusOr<Thread> stopper =
      Thread::Start("stopper", [&] { stop_->Signal(); });
  ASSERT_TRUE(stopper.ok());
  EXPECT_EQ(ReceiveCode(), absl::StatusCode::kCancelled);
  Write(Bytes(1, kVersion, 0, 0));
  EXPECT_EQ(ReceiveCode(), absl::StatusCode::kCancelled);
  stop_->Drain();
  EXPECT_TRUE(Receive().ok());
}

TEST_F(MessageSocketTest, SendToPeerThatReadsNothingEnds) {
  const Message message = MakeMessage(1, 0, std::array<uint8_t, 512>{});
  absl::Status status;
  while (status.ok()) {
    status = ours_->Send(message, *stop_, absl::Milliseconds(1));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  stop_->Signal();
  EXPECT_EQ(ours_->Send(message, *stop_, absl::InfiniteDuration()).code(),
            absl::StatusCode::kCancelled);
}

TEST_F(MessageSocketTest, SendIsWholeWherePeerReadsSlowly) {
  constexpr int kMessages = 2000;
  MessageSocket other(std::move(peer_));
  absl::StatusOr<Thread> sender = Thread::Start("sender", [&] {
    for (uint32_t i = 0; i < kMessages; ++i) {
      Message message = MakeMessage(i, 0, std::array<uint8_t, 333>{});
      if (i % 3 == 0) {
        message.fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
      }
      ASSERT_TRUE(other.Send(message, *stop_, absl::InfiniteDuration()).ok());
    }
  });
  ASSERT_TRUE(sender.ok());
  for (uint32_t i = 0; i < kMessages; ++i) {
    const absl::StatusOr<Message> message = Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    ASSERT_EQ(message->request, i);
    ASSERT_EQ(message->size, 333u);
    ASSERT_EQ(message->fds.size(), i % 3 == 0 ? 1u : 0u);
  }
}

// A SIGPIPE would end the test.
TEST_F(MessageSocketTest, SendAfterHangUpIsAnError) {
  peer_.reset();
  EXPECT_EQ(ours_
                ->Send(MakeMessage(1, 0, uint64_t{0}), *stop_,
                       absl::InfiniteDuration())
                .code(),
            absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace annulus::vhost_user
