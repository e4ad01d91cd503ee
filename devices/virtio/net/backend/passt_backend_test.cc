#include "devices/virtio/net/backend/passt_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <vector>

#include "devices/virtio/net/backend/link_observer_testing.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class PasstBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    peer_.reset(fds[1]);
    // The smallest: frames are torn soon.
    const int bytes = 1;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    auto backend = PasstBackend::Create(UniqueFd(fds[0]));
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_ = *std::move(backend);
  }

  NetBackendQueue& queue() { return backend_->queue(0); }

  TransferStatus Send(std::vector<uint8_t>& frame) {
    std::array<uint8_t, kNetHeaderBytes> header = {};
    const size_t half = frame.size() / 2;
    const iovec vectors[] = {{header.data(), header.size()},
                             {frame.data(), half},
                             {frame.data() + half, frame.size() - half}};
    return queue()
        .Send(vectors, static_cast<uint32_t>(header.size() + frame.size()))
        .status;
  }

  Transfer Receive(std::vector<uint8_t>& frame,
                   size_t room_bytes = kNetMaxFrameBytes) {
    std::vector<uint8_t> room(room_bytes + kNetHeaderBytes, 0xee);
    const iovec vectors[] = {
        {room.data(), kNetHeaderBytes},
        {room.data() + kNetHeaderBytes, 3},
        {room.data() + kNetHeaderBytes + 3, room_bytes - 3}};
    const Transfer received = queue().Receive(vectors);
    if (received.status == TransferStatus::kDone) {
      EXPECT_TRUE(std::all_of(room.begin(), room.begin() + kNetHeaderBytes,
                              [](uint8_t byte) { return byte == 0; }));
      const size_t bytes = received.bytes - kNetHeaderBytes;
      frame.assign(room.begin() + kNetHeaderBytes,
                   room.begin() + kNetHeaderBytes +
                       static_cast<ptrdiff_t>(std::min(bytes, room_bytes)));
    }
    return received;
  }

  void PeerSends(const std::vector<uint8_t>& bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  std::vector<uint8_t> PeerReceives(size_t bytes) {
    std::vector<uint8_t> all(bytes);
    EXPECT_EQ(::recv(peer_.get(), all.data(), bytes, MSG_WAITALL),
              static_cast<ssize_t>(bytes));
    return all;
  }

  UniqueFd peer_;
  std::unique_ptr<PasstBackend> backend_;
};

std::vector<uint8_t> Encoded(const std::vector<uint8_t>& frame) {
  std::vector<uint8_t> encoded = {0, static_cast<uint8_t>(frame.size() >> 16),
                                  static_cast<uint8_t>(frame.size() >> 8),
                                  static_cast<uint8_t>(frame.size())};
  encoded.insert(encoded.end(), frame.begin(), frame.end());
  return encoded;
}

TEST_F(PasstBackendTest, OffersNothingAndOnePair) {
  EXPECT_EQ(backend_->offloads(), FeatureSet());
  EXPECT_EQ(backend_->queue_pairs(), 1);
  EXPECT_TRUE(backend_->link_up());
}

// As header split reads: the first bytes to other memory than the rest.
TEST_F(PasstBackendTest, FrameFillsItsVectorsInTheirOrder) {
  std::vector<uint8_t> sent(100);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i);
  for (const size_t aside_bytes : {1ul, 13ul, 66ul, 100ul, 500ul}) {
    PeerSends(Encoded(sent));
    std::vector<uint8_t> header(kNetHeaderBytes, 0xee);
    std::vector<uint8_t> aside(aside_bytes, 0xee);
    std::vector<uint8_t> page(20, 0xee);
    std::vector<uint8_t> overflow(kNetMaxFrameBytes, 0xee);
    const iovec vectors[] = {{header.data(), header.size()},
                             {aside.data(), aside.size()},
                             {page.data(), page.size()},
                             {overflow.data(), overflow.size()}};
    const Transfer received = queue().Receive(vectors);
    ASSERT_EQ(received.status, TransferStatus::kDone);
    EXPECT_EQ(received.bytes, 112u);
    EXPECT_EQ(header, std::vector<uint8_t>(kNetHeaderBytes));
    std::vector<uint8_t> all = aside;
    all.insert(all.end(), page.begin(), page.end());
    all.insert(all.end(), overflow.begin(), overflow.end());
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), all.begin()));
    EXPECT_EQ(all[100], 0xee) << "more than the frame was written";
  }
}

TEST_F(PasstBackendTest, FrameIsSentAfterItsLengthWithoutHeader) {
  std::vector<uint8_t> frame(300, 7);
  ASSERT_EQ(Send(frame), TransferStatus::kDone);
  EXPECT_EQ(PeerReceives(304), Encoded(frame));
}

TEST_F(PasstBackendTest, FramesAreReceivedInAnyPieces) {
  const std::vector<uint8_t> first(60, 1);
  const std::vector<uint8_t> second(kNetMaxFrameBytes, 2);
  std::vector<uint8_t> stream = Encoded(first);
  const std::vector<uint8_t> more = Encoded(second);
  stream.insert(stream.end(), more.begin(), more.end());
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
  PeerSends({stream.begin(), stream.begin() + 2});
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
  PeerSends({stream.begin() + 2, stream.begin() + 63});
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
  PeerSends({stream.begin() + 63, stream.begin() + 100});
  EXPECT_EQ(Receive(frame).status, TransferStatus::kDone);
  EXPECT_EQ(frame, first);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
  PeerSends({stream.begin() + 100, stream.end()});
  EXPECT_EQ(Receive(frame).status, TransferStatus::kDone);
  EXPECT_EQ(frame, second);
}

TEST_F(PasstBackendTest, FrameBeyondItsRoomIsCutOffAndItsLengthTold) {
  PeerSends(Encoded(std::vector<uint8_t>(100, 1)));
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame, 40).bytes, 100 + kNetHeaderBytes);
  EXPECT_EQ(frame, std::vector<uint8_t>(40, 1));
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
}

TEST_F(PasstBackendTest, TornFrameIsFinishedBeforeTheNext) {
  std::minstd_rand random(1);
  std::vector<uint8_t> expected;
  std::vector<uint8_t> got;
  int torn = 0;
  for (uint32_t i = 0; i < 300; ++i) {
    std::vector<uint8_t> frame(random() % 60'000 + 14, static_cast<uint8_t>(i));
    const std::vector<uint8_t> encoded = Encoded(frame);
    expected.insert(expected.end(), encoded.begin(), encoded.end());
    TransferStatus status;
    while ((status = Send(frame)) == TransferStatus::kAgain) {
      // What the guest writes into a frame that is under way is its own
      // affair, and no other frame's.
      std::vector<uint8_t> piece(random() % 9000 + 1);
      const ssize_t bytes =
          ::recv(peer_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      ASSERT_GT(bytes, 0) << "nothing was sent, and kAgain returned";
      got.insert(got.end(), piece.begin(), piece.begin() + bytes);
      ++torn;
    }
    ASSERT_EQ(status, TransferStatus::kDone);
  }
  EXPECT_GT(torn, 300);
  const std::vector<uint8_t> rest = PeerReceives(expected.size() - got.size());
  got.insert(got.end(), rest.begin(), rest.end());
  EXPECT_TRUE(got == expected);
}

TEST_F(PasstBackendTest, FrameAfterATornOneThatWasGivenUpIsSentToo) {
  std::vector<uint8_t> first(60'000, 1);
  ASSERT_EQ(Send(first), TransferStatus::kAgain);
  EXPECT_NE(queue().writable_fd(), -1);
  // As after a reset of the queue: other memory, other length.
  std::vector<uint8_t> second(100, 2);
  ASSERT_EQ(Send(second), TransferStatus::kAgain);
  std::vector<uint8_t> got;
  std::thread reader([&] { got = PeerReceives(60'004 + 104); });
  while (Send(second) == TransferStatus::kAgain) {
    pollfd poll_fd = {queue().writable_fd(), POLLOUT, 0};
    ASSERT_EQ(::poll(&poll_fd, 1, 60'000), 1);
  }
  reader.join();
  std::vector<uint8_t> expected = Encoded(first);
  const std::vector<uint8_t> more = Encoded(second);
  expected.insert(expected.end(), more.begin(), more.end());
  EXPECT_TRUE(got == expected);
}

TEST_F(PasstBackendTest, ClosedPeerIsGoneAfterItsLastFrame) {
  RecordingObserver observer;
  backend_->SetLinkObserver(&observer);
  PeerSends(Encoded(std::vector<uint8_t>(60, 1)));
  peer_.reset();
  EXPECT_FALSE(observer.Change(1));
  EXPECT_FALSE(backend_->link_up());
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kDone);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
  EXPECT_EQ(Send(frame), TransferStatus::kGone);
}

TEST_F(PasstBackendTest, PeerThatClosesAmidAFrameIsGone) {
  PeerSends({0, 0, 0, 60, 1, 2, 3});
  peer_.reset();
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kAgain);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
}

TEST_F(PasstBackendTest, EmptyFrameIsTheEndOfAHostilePeer) {
  RecordingObserver observer;
  backend_->SetLinkObserver(&observer);
  PeerSends({0, 0, 0, 0});
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
  EXPECT_FALSE(observer.Change(1));
  frame.resize(60);
  EXPECT_EQ(Send(frame), TransferStatus::kGone);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
}

TEST_F(PasstBackendTest, FrameBeyondTheLargestIsTheEndOfAHostilePeer) {
  PeerSends({0xff, 0xff, 0xff, 0xff});
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kGone);
}

TEST_F(PasstBackendTest, FrameShorterThanAnEthernetHeaderIsDropped) {
  PeerSends(Encoded(std::vector<uint8_t>(13, 1)));
  PeerSends(Encoded(std::vector<uint8_t>(14, 1)));
  std::vector<uint8_t> frame;
  EXPECT_EQ(Receive(frame).status, TransferStatus::kDropped);
  EXPECT_EQ(Receive(frame).status, TransferStatus::kDone);
}

TEST_F(PasstBackendTest, FrameBeyondTheLargestIsNotSent) {
  std::vector<uint8_t> frame(kNetMaxFrameBytes + 1);
  EXPECT_EQ(Send(frame), TransferStatus::kDropped);
}

TEST(PasstBackendCreateTest, WhatIsNoConnectedUnixStreamSocketIsRefused) {
  for (const int fd : {::open("/dev/null", O_RDWR | O_CLOEXEC),
                       ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                       ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                       ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -1}) {
    EXPECT_FALSE(PasstBackend::Create(UniqueFd(fd)).ok());
  }
}

}  // namespace
}  // namespace annulus::virtio
