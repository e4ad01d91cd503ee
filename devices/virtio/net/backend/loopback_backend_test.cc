#include "devices/virtio/net/backend/loopback_backend.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Header = std::array<uint8_t, kNetHeaderBytes>;

std::unique_ptr<LoopbackBackend> Make(uint16_t pairs = 1) {
  auto backend = LoopbackBackend::Create(pairs);
  EXPECT_TRUE(backend.ok());
  return *std::move(backend);
}

TransferStatus Send(NetBackendQueue& queue, std::vector<uint8_t> frame,
                    Header header = {}) {
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), 1},
                           {frame.data() + 1, frame.size() - 1}};
  const Transfer sent =
      queue.Send(vectors, static_cast<uint32_t>(header.size() + frame.size()));
  queue.Flush();
  return sent.status;
}

struct Received {
  Transfer transfer;
  Header header = {};
  std::vector<uint8_t> frame;
};

Received Receive(NetBackendQueue& queue, size_t room = kNetMaxFrameBytes) {
  Received received;
  received.frame.resize(room);
  const iovec vectors[] = {{received.header.data(), received.header.size()},
                           {received.frame.data(), 1},
                           {received.frame.data() + 1, room - 1}};
  received.transfer = queue.Receive(vectors);
  return received;
}

std::vector<uint8_t> Frame(size_t bytes) {
  std::vector<uint8_t> frame(bytes, 9);
  for (uint8_t i = 0; i < 12; ++i) frame[i] = i;
  return frame;
}

bool Readable(int fd) {
  pollfd poll_fd = {fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

TEST(LoopbackBackendTest, FrameComesBackWithAddressesSwapped) {
  const auto backend = Make(2);
  const Header header = {kNetHeaderNeedsCsum, 0, 0, 0, 0, 0, 34, 0, 16, 0};
  ASSERT_TRUE(backend->SetReceiveOffloads(FeatureSet::Of(kNetGuestCsum)).ok());
  for (const size_t bytes : {12ul, 64ul, kNetMaxFrameBytes}) {
    EXPECT_EQ(Send(backend->queue(1), Frame(bytes), header),
              TransferStatus::kDone);
    EXPECT_EQ(Receive(backend->queue(0)).transfer.status,
              TransferStatus::kAgain);
    Received received = Receive(backend->queue(1));
    EXPECT_EQ(received.transfer.bytes, bytes + kNetHeaderBytes);
    EXPECT_EQ(received.header, header);
    received.frame.resize(bytes);
    std::vector<uint8_t> swapped = Frame(bytes);
    for (uint8_t i = 0; i < 6; ++i) {
      swapped[i] = 6 + i;
      swapped[6 + i] = i;
    }
    EXPECT_EQ(received.frame, swapped);
  }
}

// As header split reads: the first bytes to other memory than the rest.
TEST(LoopbackBackendTest, FrameFillsItsVectorsInTheirOrder) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  for (const size_t aside_bytes : {1ul, 13ul, 66ul, 100ul, 500ul}) {
    ASSERT_EQ(Send(queue, Frame(100)), TransferStatus::kDone);
    std::vector<uint8_t> swapped = Frame(100);
    std::swap_ranges(swapped.begin(), swapped.begin() + 6, swapped.begin() + 6);
    Header header;
    header.fill(0xee);
    std::vector<uint8_t> aside(aside_bytes, 0xee);
    std::vector<uint8_t> page(20, 0xee);
    std::vector<uint8_t> overflow(kNetMaxFrameBytes, 0xee);
    const iovec vectors[] = {{header.data(), header.size()},
                             {aside.data(), aside.size()},
                             {page.data(), page.size()},
                             {overflow.data(), overflow.size()}};
    EXPECT_EQ(queue.Receive(vectors).bytes, 112u);
    EXPECT_EQ(header, Header());
    std::vector<uint8_t> all = aside;
    all.insert(all.end(), page.begin(), page.end());
    all.insert(all.end(), overflow.begin(), overflow.end());
    EXPECT_TRUE(std::equal(swapped.begin(), swapped.end(), all.begin()));
    EXPECT_EQ(all[100], 0xee) << "more than the frame was written";
  }
}

TEST(LoopbackBackendTest, FullRingDropsAndRecovers) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  int sent = 0;
  while (Send(queue, Frame(1500)) == TransferStatus::kDone) ++sent;
  EXPECT_EQ(Send(queue, Frame(1500)), TransferStatus::kDropped);
  EXPECT_GE(sent, 512);
  for (int i = 0; i < sent; ++i) {
    EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
  }
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  EXPECT_EQ(Send(queue, Frame(1500)), TransferStatus::kDone);
}

TEST(LoopbackBackendTest, FrameOfNoUsefulLengthIsDropped) {
  const auto backend = Make();
  EXPECT_EQ(Send(backend->queue(0), std::vector<uint8_t>(11)),
            TransferStatus::kDropped);
  EXPECT_EQ(
      Send(backend->queue(0), std::vector<uint8_t>(FrameRing::kMaxFrameBytes)),
      TransferStatus::kDropped);
}

TEST(LoopbackBackendTest, FrameBeyondItsRoomIsCutOffAndItsLengthTold) {
  const auto backend = Make();
  ASSERT_EQ(Send(backend->queue(0), Frame(64)), TransferStatus::kDone);
  const Received received = Receive(backend->queue(0), 20);
  EXPECT_EQ(received.transfer.bytes, 64 + kNetHeaderBytes);
  EXPECT_EQ(received.frame[19], 9);
  EXPECT_EQ(Receive(backend->queue(0)).transfer.status, TransferStatus::kAgain);
}

// virtio 1.4 §5.1.6.4: the device sets no flag and no gso_type for which the
// feature was not negotiated.
TEST(LoopbackBackendTest, FrameThatTheDriverDidNotAskForIsDropped) {
  struct Case {
    Header header;
    FeatureSet needs;
  };
  const Case cases[] = {
      {{kNetHeaderNeedsCsum}, FeatureSet::Of(kNetGuestCsum)},
      {{0, kNetGsoTcpv4}, FeatureSet::Of(kNetGuestTso4)},
      {{0, kNetGsoTcpv6}, FeatureSet::Of(kNetGuestTso6)},
      {{0, kNetGsoUdp}, FeatureSet::Of(kNetGuestUfo)},
      {{0, kNetGsoUdpL4}, FeatureSet::Of(kNetGuestUso4, kNetGuestUso6)},
      {{0, kNetGsoTcpv4 | kNetGsoEcn},
       FeatureSet::Of(kNetGuestTso4, kNetGuestEcn)},
  };
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  for (const Case& each : cases) {
    ASSERT_TRUE(backend->SetReceiveOffloads(each.needs).ok());
    EXPECT_EQ(Send(queue, Frame(64), each.header), TransferStatus::kDone);
    for (uint32_t bit = 0; bit < 64; ++bit) {
      if (!each.needs.Has(bit)) continue;
      FeatureSet less = kAllOffloads;
      less.Remove(bit);
      ASSERT_TRUE(backend->SetReceiveOffloads(less).ok());
      EXPECT_EQ(Send(queue, Frame(64), each.header), TransferStatus::kDropped);
    }
  }
  EXPECT_EQ(Send(queue, Frame(64), {0, 0x7f}), TransferStatus::kDropped);
}

TEST(LoopbackBackendTest, OnlyAReaderThatFoundNothingIsSignalled) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  ASSERT_EQ(Send(queue, Frame(64)), TransferStatus::kDone);
  EXPECT_FALSE(Readable(queue.readable_fd()));
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  ASSERT_EQ(Send(queue, Frame(64)), TransferStatus::kDone);
  EXPECT_TRUE(Readable(queue.readable_fd()));
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  EXPECT_FALSE(Readable(queue.readable_fd())) << "a poller would spin";
}

// Four at once, of which the third has offloads: that one comes by itself.
TEST(LoopbackBackendTest, FramesThatAskForNothingComeBackTogether) {
  const auto backend = Make();
  ASSERT_TRUE(backend->SetReceiveOffloads(FeatureSet::Of(kNetGuestCsum)).ok());
  NetBackendQueue& queue = backend->queue(0);
  std::vector<std::vector<uint8_t>> frames;
  for (uint8_t i = 0; i < 3; ++i) {
    frames.push_back(Frame(64));
    frames.back()[20] = i;
  }
  const auto plain = [&](size_t i) {
    return iovec{frames[i].data(), frames[i].size()};
  };
  const iovec first[] = {plain(0), plain(1)};
  ASSERT_EQ(queue.SendPlain(first), 2u);
  ASSERT_EQ(Send(queue, Frame(64), {kNetHeaderNeedsCsum}),
            TransferStatus::kDone);
  const iovec last[] = {plain(2)};
  ASSERT_EQ(queue.SendPlain(last), 1u);
  queue.Flush();

  std::array<std::array<uint8_t, 100>, 4> rooms = {};
  std::array<uint32_t, 4> bytes = {};
  const iovec vectors[] = {{rooms[0].data(), 100},
                           {rooms[1].data(), 100},
                           {rooms[2].data(), 100},
                           {rooms[3].data(), 100}};
  for (int look = 0; look < 2; ++look) {  // Until they are taken.
    ASSERT_EQ(queue.CopyPlain(vectors, absl::MakeSpan(bytes)), 2u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(bytes[i], 76u);
      EXPECT_EQ(rooms[i][10], 1) << "num_buffers";
      EXPECT_EQ(rooms[i][12], 6) << "addresses are swapped";
      EXPECT_EQ(rooms[i][18], 0);
      EXPECT_EQ(rooms[i][32], i);
    }
  }
  queue.TakeCopied();
  EXPECT_EQ(queue.CopyPlain(vectors, absl::MakeSpan(bytes)), 0u);
  EXPECT_EQ(Receive(queue).header[0], kNetHeaderNeedsCsum);
  const iovec small[] = {{rooms[0].data(), 75}};
  EXPECT_EQ(queue.CopyPlain(small, absl::MakeSpan(bytes)), 0u);
  EXPECT_EQ(queue.CopyPlain(vectors, absl::MakeSpan(bytes)), 1u);
  EXPECT_EQ(rooms[0][32], 2);
}

TEST(LoopbackBackendTest, FullLoopbackTakesAsManyAtOnceAsHaveRoom) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  std::vector<uint8_t> frame = Frame(1500);
  const std::vector<iovec> frames(64, iovec{frame.data(), frame.size()});
  uint32_t sent = 0;
  uint32_t last;
  while ((last = queue.SendPlain(frames)) == 64) sent += last;
  sent += last;
  EXPECT_EQ(Send(queue, Frame(1500)), TransferStatus::kDropped);
  queue.Flush();
  uint32_t received = 0;
  while (Receive(queue).transfer.status == TransferStatus::kDone) ++received;
  EXPECT_EQ(received, sent);
  EXPECT_GE(sent, FrameRing::kBytes / 1520 - 1);
}

TEST(LoopbackBackendTest, BatchComesBackWithItsFlushOrWhenItIsLarge) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  Header header = {};
  std::vector<uint8_t> frame = Frame(64);
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), frame.size()}};
  const auto send = [&] { return queue.Send(vectors, 76).status; };
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(send(), TransferStatus::kDone);
  EXPECT_FALSE(Readable(queue.readable_fd()));
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  queue.Flush();
  EXPECT_TRUE(Readable(queue.readable_fd()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
  }
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  for (size_t bytes = 0; bytes < FrameRing::kBytes / 16; bytes += 76) {
    ASSERT_EQ(send(), TransferStatus::kDone);
  }
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
}

// Its reader asks by itself.
TEST(LoopbackBackendTest, PolledReaderIsNotSignalled) {
  const auto backend = Make();
  NetBackendQueue& queue = backend->queue(0);
  backend->SetPolled(true);
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  ASSERT_EQ(Send(queue, Frame(64)), TransferStatus::kDone);
  EXPECT_FALSE(Readable(queue.readable_fd()));
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kDone);
  backend->SetPolled(false);
  ASSERT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  ASSERT_EQ(Send(queue, Frame(64)), TransferStatus::kDone);
  EXPECT_TRUE(Readable(queue.readable_fd()));
}

// A lost wakeup would let this hang: each frame is awaited before the next is
// sent, so that the reader sleeps again and again.
TEST(LoopbackBackendTest, SleepingReaderGetsEveryFrame) {
  const auto backend = Make(2);
  constexpr int kFrames = 3'000;
  const auto receive = [&backend](uint16_t pair) {
    NetBackendQueue& queue = backend->queue(pair);
    while (Receive(queue, 64).transfer.status == TransferStatus::kAgain) {
      pollfd poll_fd = {queue.readable_fd(), POLLIN, 0};
      if (::poll(&poll_fd, 1, 60'000) != 1) return false;
    }
    return true;
  };
  // Two threads play ping-pong over the two pairs.
  bool echoed = true;
  std::thread echo([&] {
    for (int i = 0; i < kFrames && echoed; ++i) {
      echoed = receive(0);
      Send(backend->queue(1), Frame(64));
    }
  });
  bool received = true;
  for (int i = 0; i < kFrames && received; ++i) {
    Send(backend->queue(0), Frame(64));
    received = receive(1);
  }
  EXPECT_TRUE(received);
  echo.join();
  EXPECT_TRUE(echoed);
}

TEST(LoopbackBackendTest, NoQueuePairIsRefused) {
  EXPECT_EQ(LoopbackBackend::Create(0).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace annulus::virtio
