#include "devices/virtio/net/transmit/transmit_queue.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 64;

// What comes after virtio_net_hdr is not looked at.
std::string Encode(const NetHeader& header, size_t bytes) {
  std::string text(bytes, '\xa5');
  std::array<uint8_t, kNetHeaderBytes> encoded;
  EncodeNetHeader(header, absl::MakeSpan(encoded));
  std::copy(encoded.begin(), encoded.end(), text.begin());
  return text;
}

// Format, indirect, in-order, header with hash, header with the fields of a
// header queue, which say nothing here.
class TransmitQueueTest
    : public testing::TestWithParam<std::tuple<bool, bool, bool, bool, bool>> {
 protected:
  TransmitQueueTest() { Start({}); }

  bool hashes() const { return std::get<3>(GetParam()); }
  bool has_header_queues() const { return std::get<4>(GetParam()); }
  size_t header_bytes() const {
    return size_t{12} + (hashes() ? 8 : 0) + (has_header_queues() ? 8 : 0);
  }

  void Start(const FeatureSet& features, const RateLimit& limit = {}) {
    FeatureSet all = features;
    if (hashes()) all.Add(kNetHashReport);
    NetOptions options;
    if (has_header_queues()) {
      all.Add(options.header_split.numbers.header_queue_feature);
    }
    options.queue_size = kSize;
    options.transmit_limit = limit;
    handler_ = std::make_unique<TransmitQueue>(backend_, options, counters_);
    handler_->SetFeatures(all);
    handler_->QueueStarted(queue_);
  }

  // Offers one buffer; each piece is a descriptor element.
  void Offer(const std::vector<std::string>& pieces) {
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (const std::string& piece : pieces) chain.Readable(piece);
    ASSERT_TRUE(chain.Offer().has_value());
  }

  void OfferWhole(const NetHeader& header, const std::string& frame) {
    Offer({Encode(header, header_bytes()) + frame});
  }

  // Until it has nothing left to do; returns how many buffers came back.
  int DrainAll() {
    while (handler_->Drain(queue_)) (void)queue_.Publish();
    (void)queue_.Publish();
    int used = 0;
    while (driver_.GetUsed().has_value()) ++used;
    return used;
  }

  uint64_t drops(NetDrop reason) {
    return counters_.drops[static_cast<size_t>(reason)].value();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 8 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = std::get<0>(GetParam()),
                      .indirect = std::get<1>(GetParam()),
                      .in_order = std::get<2>(GetParam()),
                      .size = kSize,
                      .bytes = 0x700000}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  ScriptedBackend backend_;
  QueueCounters counters_;
  std::unique_ptr<TransmitQueue> handler_;
};

TEST_P(TransmitQueueTest, FramesAreDroppedAndCountedWhileTheCableIsPulled) {
  backend_.takes_plain = 64;
  handler_->SetLink(false);
  for (uint32_t i = 0; i < 5; ++i) OfferWhole({}, NoiseFrame(60, i));
  EXPECT_EQ(DrainAll(), 5);
  EXPECT_TRUE(backend_.sent.empty());
  EXPECT_EQ(drops(NetDrop::kLinkDown), 5u);
  handler_->SetLink(true);
  OfferWhole({}, NoiseFrame(60, 7));
  EXPECT_EQ(DrainAll(), 1);
  EXPECT_EQ(backend_.sent.size(), 1u);
  EXPECT_EQ(drops(NetDrop::kLinkDown), 5u);
}

// A stream would be broken in the middle of it.
TEST_P(TransmitQueueTest, FrameThatIsUnderWayIsFinishedWithThePulledCable) {
  backend_.failures = {TransferStatus::kAgain};
  for (uint32_t i = 0; i < 2; ++i) OfferWhole({}, NoiseFrame(60, i));
  EXPECT_EQ(DrainAll(), 0);
  handler_->SetLink(false);
  EXPECT_EQ(DrainAll(), 2);
  EXPECT_EQ(backend_.sent.size(), 1u);
  EXPECT_EQ(drops(NetDrop::kLinkDown), 1u);
}

// Whatever the backend takes at once, and whatever stands between: all frames
// are sent, once and in order.
TEST_P(TransmitQueueTest, FramesThatAskForNothingAreSentTogether) {
  Start(FeatureSet::Of(kNetCsum));
  for (const uint32_t takes : {0u, 1u, 2u, 64u}) {
    backend_.takes_plain = takes;
    backend_.sent.clear();
    backend_.sent_plain = 0;
    std::vector<std::string> expected;
    uint32_t plain = 0;
    const auto expect = [&](const NetHeader& header, const std::string& frame) {
      expected.push_back(Encode(header, kNetHeaderBytes) + frame);
    };
    for (uint32_t i = 0; i < 40; ++i) {
      const std::string frame = NoiseFrame(60 + i, i);
      const std::string header = Encode({}, header_bytes());
      if (i % 7 == 3) {  // It asks for something.
        const NetHeader csum = {
            .flags = kNetHeaderNeedsCsum, .csum_start = 20, .csum_offset = 6};
        OfferWhole(csum, frame);
        expect(csum, frame);
        continue;
      }
      if (i % 7 == 5) {  // It is in pieces.
        Offer({header, frame.substr(0, 9), frame.substr(9)});
      } else if (i % 7 == 6) {  // It is none.
        OfferWhole({}, frame.substr(0, 13));
        continue;
      } else if (i % 2 == 0) {
        Offer({header, frame});
        ++plain;
      } else {  // As it was received some time.
        OfferWhole({.num_buffers = 1}, frame);
        ++plain;
      }
      expect({}, frame);
    }
    EXPECT_EQ(DrainAll(), 40);
    EXPECT_EQ(backend_.sent, expected) << takes;
    EXPECT_EQ(backend_.sent_plain, takes == 64 ? plain : backend_.sent_plain);
    EXPECT_EQ(backend_.sent_plain != 0, takes != 0);
  }
  EXPECT_EQ(drops(NetDrop::kMalformed), 4u * 5);
}

// They take their turn with what the backend cannot take yet.
TEST_P(TransmitQueueTest, FrameThatWaitsIsNotPassedByPlainOnes) {
  backend_.takes_plain = 64;
  std::vector<std::string> expected;
  for (uint32_t i = 0; i < 4; ++i) {
    const std::string frame = NoiseFrame(60, i);
    OfferWhole({}, frame);
    expected.push_back(std::string(kNetHeaderBytes, '\0') + frame);
  }
  backend_.failures = {TransferStatus::kAgain};
  EXPECT_FALSE(handler_->Drain(queue_));
  EXPECT_TRUE(backend_.sent.empty());
  EXPECT_EQ(DrainAll(), 4);
  EXPECT_EQ(backend_.sent, expected);
  EXPECT_EQ(backend_.sent_plain, 3u) << "the first is given again as it was";
}

// bad_inputs 28: "the header may be split over any descriptors".
TEST_P(TransmitQueueTest, AnyShapeOfChainIsTheSameFrame) {
  std::mt19937 random(1);
  std::vector<std::string> expected;
  for (int round = 0; round < 300; ++round) {
    const size_t bytes = 14 + random() % (round % 7 == 0 ? 60000 : 1500);
    const std::string frame = NoiseFrame(bytes, static_cast<uint32_t>(round));
    std::string rest = Encode({}, header_bytes()) + frame;
    std::vector<std::string> pieces;
    // Pieces of a byte, of nothing, or of anything.
    while (pieces.size() < 14 && !rest.empty()) {
      const size_t here =
          std::min<size_t>(rest.size(), random() % 3 == 0   ? 1
                                        : random() % 4 == 0 ? 0
                                                            : random() % 700);
      pieces.push_back(rest.substr(0, here));
      rest.erase(0, here);
    }
    pieces.push_back(rest);
    Offer(pieces);
    expected.push_back(std::string(kNetHeaderBytes, '\0') + frame);
    if (round % 3 == 0) {
      ASSERT_GT(DrainAll(), 0);
    }
  }
  (void)DrainAll();
  EXPECT_EQ(backend_.sent, expected);
  EXPECT_EQ(counters_.frames.value(), expected.size());
  EXPECT_TRUE(queue_.ok());
}

// bad_inputs 28.
TEST_P(TransmitQueueTest, BufferShorterThanHeaderAndFrameIsDropped) {
  for (size_t bytes = 0; bytes < header_bytes() + 14; ++bytes) {
    Offer({std::string(bytes, '\0')});
    EXPECT_EQ(DrainAll(), 1);
  }
  EXPECT_TRUE(backend_.sent.empty());
  EXPECT_EQ(drops(NetDrop::kMalformed), header_bytes() + 14);
  OfferWhole({}, NoiseFrame(14, 1));
  EXPECT_EQ(DrainAll(), 1);
  EXPECT_EQ(backend_.sent.size(), 1u);
}

// bad_inputs 31.
TEST_P(TransmitQueueTest, LargestFrameIsSentAndALargerOneDropped) {
  OfferWhole({}, NoiseFrame(kNetMaxFrameBytes, 1));
  OfferWhole({}, NoiseFrame(kNetMaxFrameBytes + 1, 2));
  EXPECT_EQ(DrainAll(), 2);
  ASSERT_EQ(backend_.sent.size(), 1u);
  EXPECT_EQ(backend_.sent[0].size(), kNetHeaderBytes + kNetMaxFrameBytes);
  EXPECT_EQ(drops(NetDrop::kMalformed), 1u);
}

// bad_inputs 22.
TEST_P(TransmitQueueTest, BufferThatIsAllWritableIsDroppedAndNotWrittenTo) {
  ASSERT_TRUE(driver_.Chain().Writable(2000).Offer().has_value());
  while (handler_->Drain(queue_)) {
  }
  (void)queue_.Publish();
  const std::optional<FakeDriver::Used> used = driver_.GetUsed();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->len, 0u);
  EXPECT_EQ(drops(NetDrop::kMalformed), 1u);
}

TEST_P(TransmitQueueTest, OffloadHeaderReachesTheBackendAsItWasMade) {
  Start(FeatureSet::Of(kNetCsum, kNetHostTso4));
  // An IPv4 TCP frame made by hand: 14 + 20 + 20 bytes of headers.
  const NetHeader header = {.flags = kNetHeaderNeedsCsum,
                            .gso_type = kNetGsoTcpv4,
                            .hdr_len = 54,
                            .gso_size = 1448,
                            .csum_start = 34,
                            .csum_offset = 16};
  const std::string frame = NoiseFrame(9000, 3);
  OfferWhole(header, frame);
  EXPECT_EQ(DrainAll(), 1);
  ASSERT_EQ(backend_.sent.size(), 1u);
  EXPECT_EQ(
      backend_.sent[0],
      std::string("\x01\x01\x36\x00\xa8\x05\x22\x00\x10\x00\x00\x00", 12) +
          frame);
}

// bad_inputs 29.
TEST_P(TransmitQueueTest, ImpossibleHeaderDropsTheFrameAlone) {
  Start(FeatureSet::Of(kNetCsum, kNetHostTso4));
  const NetHeader good = {
      .flags = kNetHeaderNeedsCsum, .csum_start = 34, .csum_offset = 16};
  NetHeader bad = good;
  bad.csum_start = 0xffff;
  OfferWhole(bad, NoiseFrame(100, 1));
  OfferWhole(good, NoiseFrame(100, 2));
  EXPECT_EQ(DrainAll(), 2);
  EXPECT_EQ(backend_.sent.size(), 1u);
  EXPECT_EQ(drops(NetDrop::kMalformed), 1u);
  EXPECT_TRUE(queue_.ok());
}

// bad_inputs 39: EAGAIN.
TEST_P(TransmitQueueTest, FrameThatTheBackendCannotTakeYetWaitsForIt) {
  for (uint32_t i = 0; i < 10; ++i) OfferWhole({}, NoiseFrame(60 + i, i));
  backend_.failures = {TransferStatus::kAgain};
  EXPECT_FALSE(handler_->Drain(queue_));
  const QueueWait wait = handler_->Wait();
  EXPECT_FALSE(wait.buffers);
  EXPECT_EQ(wait.fds[0].fd, backend_.writable_fd());
  EXPECT_EQ(wait.fds[0].events, POLLOUT);
  EXPECT_EQ(DrainAll(), 10);
  ASSERT_EQ(backend_.sent.size(), 10u);
  for (uint32_t i = 0; i < 10; ++i) {
    EXPECT_EQ(backend_.sent[i].substr(kNetHeaderBytes), NoiseFrame(60 + i, i));
  }
}

// RFC 903.
std::string RarpFrame(const std::string& mac) {
  return std::string(kNetHeaderBytes, '\0') + "\xff\xff\xff\xff\xff\xff" + mac +
         std::string("\x80\x35\0\1\x08\0\6\4\0\3", 10) + mac +
         std::string(4, '\0') + mac + std::string(22, '\0');
}

TEST_P(TransmitQueueTest, AnnouncementIsSentBetweenTwoFramesAndOnlyOnce) {
  OfferWhole({}, NoiseFrame(60, 0));
  EXPECT_EQ(DrainAll(), 1);
  EXPECT_TRUE(handler_->announcement().Ask({2, 9, 9, 9, 9, 9}));
  EXPECT_FALSE(handler_->announcement().Ask({2, 1, 1, 1, 1, 1}));
  OfferWhole({}, NoiseFrame(60, 1));
  EXPECT_EQ(DrainAll(), 1);
  ASSERT_EQ(backend_.sent.size(), 3u);
  EXPECT_EQ(backend_.sent[1], RarpFrame("\2\1\1\1\1\1"));
  EXPECT_EQ(backend_.sent[2].substr(kNetHeaderBytes), NoiseFrame(60, 1));
  EXPECT_TRUE(handler_->announcement().Ask({2, 1, 1, 1, 1, 1}));
}

// "After kAgain, the same frame is to be given again", whatever it is.
TEST_P(TransmitQueueTest, AnnouncementAndFramesWaitForEachOther) {
  OfferWhole({}, NoiseFrame(60, 0));
  backend_.failures = {TransferStatus::kAgain, TransferStatus::kAgain};
  EXPECT_FALSE(handler_->Drain(queue_));
  handler_->announcement().Ask({2, 1, 1, 1, 1, 1});
  EXPECT_FALSE(handler_->Drain(queue_));
  EXPECT_EQ(DrainAll(), 1);
  handler_->announcement().Ask({2, 3, 3, 3, 3, 3});
  backend_.failures = {TransferStatus::kAgain};
  EXPECT_FALSE(handler_->Drain(queue_));
  const QueueWait wait = handler_->Wait();
  EXPECT_FALSE(wait.buffers);
  EXPECT_EQ(wait.fds[0].fd, backend_.writable_fd());
  // One that is asked for meanwhile does not change the one under way.
  handler_->announcement().Ask({2, 2, 2, 2, 2, 2});
  OfferWhole({}, NoiseFrame(60, 1));
  EXPECT_EQ(DrainAll(), 1);
  ASSERT_EQ(backend_.sent.size(), 5u);
  EXPECT_EQ(backend_.sent[0].substr(kNetHeaderBytes), NoiseFrame(60, 0));
  EXPECT_EQ(backend_.sent[1], RarpFrame("\2\1\1\1\1\1"));
  EXPECT_EQ(backend_.sent[2], RarpFrame("\2\3\3\3\3\3"));
  EXPECT_EQ(backend_.sent[3].substr(kNetHeaderBytes), NoiseFrame(60, 1));
  EXPECT_EQ(backend_.sent[4], RarpFrame("\2\2\2\2\2\2"));
}

TEST_P(TransmitQueueTest, AnnouncementToAVanishedBackendIsNoEndlessWork) {
  handler_->announcement().Ask({2, 1, 1, 1, 1, 1});
  backend_.failures = {TransferStatus::kGone};
  EXPECT_EQ(DrainAll(), 0);
  handler_->announcement().Ask({2, 1, 1, 1, 1, 1});
  EXPECT_EQ(DrainAll(), 0);
  EXPECT_FALSE(handler_->announcement().pending());
  EXPECT_TRUE(backend_.sent.empty());
}

// bad_inputs 39: EIO, ENOBUFS.
TEST_P(TransmitQueueTest, FrameThatTheBackendLosesIsCountedAndNoOther) {
  for (uint32_t i = 0; i < 3; ++i) OfferWhole({}, NoiseFrame(60, i));
  backend_.failures = {TransferStatus::kDropped};
  EXPECT_EQ(DrainAll(), 3);
  EXPECT_EQ(backend_.sent.size(), 2u);
  EXPECT_EQ(drops(NetDrop::kBackend), 1u);
}

TEST_P(TransmitQueueTest, FramesAfterTheBackendHasGoneAreDropped) {
  for (uint32_t i = 0; i < 3; ++i) OfferWhole({}, NoiseFrame(60, i));
  backend_.failures = {TransferStatus::kGone};
  EXPECT_EQ(DrainAll(), 3);
  EXPECT_TRUE(backend_.sent.empty());
  EXPECT_EQ(drops(NetDrop::kBackend), 3u);
  EXPECT_TRUE(handler_->Wait().buffers);
}

TEST_P(TransmitQueueTest, RateLimitHoldsFramesBack) {
  Start({}, {.frames_per_second = 1000, .burst_frames = 4});
  for (uint32_t i = 0; i < 10; ++i) OfferWhole({}, NoiseFrame(60, i));
  EXPECT_FALSE(handler_->Drain(queue_));
  // Some more than the burst, if this takes a while.
  EXPECT_GE(backend_.sent.size(), 4u);
  while (backend_.sent.size() < 10) {
    const QueueWait wait = handler_->Wait();
    ASSERT_FALSE(wait.buffers);
    ASSERT_NE(wait.deadline_ns, QueueWait::kForever);
    (void)handler_->Drain(queue_);
  }
  EXPECT_EQ(DrainAll(), 10);
}

INSTANTIATE_TEST_SUITE_P(
    All, TransmitQueueTest,
    testing::Combine(testing::Bool(), testing::Bool(), testing::Bool(),
                     testing::Bool(), testing::Bool()),
    [](const auto& info) {
      return std::string(std::get<0>(info.param) ? "packed" : "split") +
             (std::get<1>(info.param) ? "_indirect" : "") +
             (std::get<2>(info.param) ? "_in_order" : "") +
             (std::get<3>(info.param) ? "_hash" : "") +
             (std::get<4>(info.param) ? "_header_queue" : "");
    });

// bad_inputs 28: "1-byte pieces": more of them than writev(2) takes.
TEST(TransmitQueueSizeTest, FrameOfMoreElementsThanTheKernelTakesIsSent) {
  constexpr uint16_t kLarge = 1024;
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 8 << 20}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  FakeDriver driver(
      memory,
      {.packed = true, .indirect = false, .size = kLarge, .bytes = 0x700000});
  Virtqueue queue = Virtqueue::Create(memory, driver.config()).value();
  ScriptedBackend backend;
  QueueCounters counters;
  NetOptions options;
  options.queue_size = kLarge;
  TransmitQueue handler(backend, options, counters);
  handler.SetFeatures({});
  handler.QueueStarted(queue);
  const std::string frame = NoiseFrame(kLarge - 1 + 10, 5);
  FakeDriver::ChainBuilder chain = driver.Chain();
  chain.Readable(std::string(kNetHeaderBytes, '\0') + frame.substr(0, 11));
  for (const char byte : frame.substr(11)) {
    chain.Readable(std::string(1, byte));
  }
  ASSERT_TRUE(chain.Offer().has_value());
  while (handler.Drain(queue)) {
  }
  ASSERT_EQ(backend.sent.size(), 1u);
  EXPECT_EQ(backend.sent[0].substr(kNetHeaderBytes), frame);
}

}  // namespace
}  // namespace annulus::virtio
