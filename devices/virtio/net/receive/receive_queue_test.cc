#include "devices/virtio/net/receive/receive_queue.h"

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/net/steering/verification_vectors.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 64;

// As a backend gives it.
std::string WithHeader(const std::string& frame) {
  return std::string(kNetHeaderBytes, '\0') + frame;
}

// Format, indirect, in-order, MRG_RXBUF, header with hash.
class ReceiveQueueTest
    : public testing::TestWithParam<std::tuple<bool, bool, bool, bool, bool>> {
 protected:
  ReceiveQueueTest() { Start({}); }

  bool mergeable() const { return std::get<3>(GetParam()); }
  bool hashes() const { return std::get<4>(GetParam()); }
  size_t header_bytes() const {
    return hashes() ? kNetHeaderHashBytes : kNetHeaderBytes;
  }

  void Start(const FeatureSet& features, const RateLimit& limit = {}) {
    FeatureSet all = features;
    if (hashes()) all.Add(kNetHashReport);
    if (mergeable()) all.Add(kNetMrgRxbuf);
    settings_.Publish(InitialNetSettings(all, {}));
    NetOptions options;
    options.queue_size = kSize;
    options.receive_limit = limit;
    handler_ = std::make_unique<ReceiveQueue>(0, backend_, settings_, options,
                                              counters_);
    handler_->SetFeatures(all);
    handler_->QueueStarted(queue_);
  }

  // One buffer; each number is an element's size.
  bool Offer(const std::vector<uint32_t>& sizes) {
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (const uint32_t size : sizes) chain.Writable(size);
    return chain.Offer().has_value();
  }

  void Drain() {
    while (handler_->Drain(queue_)) (void)queue_.Publish();
    (void)queue_.Publish();
  }

  // The next frame that the driver got, put together by the rules of virtio 1.4
  // §5.1.6.4; nullopt: none. Sets last_header_.
  std::optional<std::string> Collect() {
    std::optional<FakeDriver::Used> used = driver_.GetUsed();
    if (!used.has_value()) return std::nullopt;
    EXPECT_GE(used->len, header_bytes());
    last_header_ = used->data.substr(0, header_bytes());
    std::string frame = used->data.substr(header_bytes());
    const int buffers = static_cast<uint8_t>(last_header_[10]) |
                        static_cast<uint8_t>(last_header_[11]) << 8;
    EXPECT_GE(buffers, 1);
    if (!mergeable()) {
      EXPECT_EQ(buffers, 1);
    }
    for (int i = 1; i < buffers; ++i) {
      EXPECT_EQ(used->len, used->writable_bytes) << "all but the last are full";
      used = driver_.GetUsed();
      if (!used.has_value()) {
        ADD_FAILURE() << "only " << i << " buffers of " << buffers;
        break;
      }
      frame += used->data;
    }
    return frame;
  }

  uint64_t drops(NetDrop reason) {
    return counters_.drops[static_cast<size_t>(reason)].value();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 16 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = std::get<0>(GetParam()),
                      .indirect = std::get<1>(GetParam()),
                      .in_order = std::get<2>(GetParam()),
                      .size = kSize,
                      .bytes = 0xe00000}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  ScriptedBackend backend_;
  NetSettingsStore settings_;
  QueueCounters counters_;
  std::unique_ptr<ReceiveQueue> handler_;
  std::string last_header_;
};

// A frame has one buffer, or as many as it needs.
class SingleBufferReceiveTest : public ReceiveQueueTest {};
class MergeableReceiveTest : public ReceiveQueueTest {};

TEST_P(ReceiveQueueTest, FramesAreDroppedAndCountedWhileTheCableIsPulled) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Offer({2000}));
  handler_->SetLink(false);
  for (int i = 0; i < 10; ++i) {
    backend_.to_receive.push_back(WithHeader(std::string(100, 'a')));
  }
  Drain();
  EXPECT_FALSE(Collect().has_value());
  EXPECT_EQ(drops(NetDrop::kLinkDown), 10u);
  handler_->SetLink(true);
  backend_.to_receive.push_back(WithHeader(std::string(100, 'b')));
  Drain();
  EXPECT_EQ(Collect(), std::string(100, 'b'));
  EXPECT_EQ(drops(NetDrop::kLinkDown), 10u);
}

TEST_P(ReceiveQueueTest, AnyFrameArrivesInBuffersOfAnyShape) {
  std::mt19937 random(7);
  std::deque<std::string> expected;
  uint32_t made = 0;
  uint32_t seen = 0;
  while (seen < 400) {
    // Without MRG_RXBUF each has to have room for the largest frame below.
    for (int i = 0; i < 6; ++i) {
      std::vector<uint32_t> sizes;
      uint32_t left = static_cast<uint32_t>(
          mergeable() ? header_bytes() + random() % 3000 : 9100);
      for (uint32_t n = 1 + random() % 5; n > 1; --n) {
        const uint32_t here =
            random() % 3 == 0 ? random() % 14 : random() % (left / 2 + 1);
        sizes.push_back(std::min(here, left));
        left -= sizes.back();
      }
      sizes.push_back(left);
      if (!Offer(sizes)) break;
    }
    for (uint32_t n = random() % 4; n > 0; --n) {
      const std::string frame =
          NoiseFrame(14 + random() % (random() % 3 == 0 ? 9000 : 100), made++);
      backend_.to_receive.push_back(WithHeader(frame));
      expected.push_back(frame);
    }
    Drain();
    ASSERT_TRUE(queue_.ok());
    while (const std::optional<std::string> frame = Collect()) {
      ASSERT_FALSE(expected.empty());
      ASSERT_EQ(*frame, expected.front()) << "frame " << seen;
      expected.pop_front();
      ++seen;
    }
  }
  EXPECT_EQ(counters_.frames.value(), seen);
  EXPECT_EQ(drops(NetDrop::kNoRoom), 0u);
}

// bad_inputs 31: "queue empty for long while host floods".
TEST_P(ReceiveQueueTest, BackendIsNotReadWithoutABuffer) {
  backend_.to_receive.push_back(WithHeader(NoiseFrame(60, 1)));
  Drain();
  EXPECT_EQ(backend_.to_receive.size(), 1u);
  const QueueWait wait = handler_->Wait();
  EXPECT_TRUE(wait.buffers);
  EXPECT_FALSE(wait.waits_for_fds());
  ASSERT_TRUE(Offer({100}));
  Drain();
  EXPECT_EQ(Collect(), NoiseFrame(60, 1));
}

// As long as it has buffers, it need not be told of more.
TEST_P(ReceiveQueueTest, BuffersInHandMeanNoWaitForOthers) {
  ASSERT_TRUE(Offer({2000}));
  Drain();
  const QueueWait wait = handler_->Wait();
  EXPECT_FALSE(wait.buffers);
  EXPECT_EQ(wait.fds[0].fd, backend_.readable_fd());
  EXPECT_EQ(wait.fds[0].events, POLLIN);
}

// bad_inputs 31: "frame 65,550 B"; and larger.
TEST_P(ReceiveQueueTest, LargestFrameArrives) {
  const uint32_t whole =
      static_cast<uint32_t>(header_bytes() + kNetMaxFrameBytes);
  if (mergeable()) {
    for (uint32_t left = whole; left > 0;) {
      const uint32_t here = std::min(left, 1526u);
      ASSERT_TRUE(Offer({here}));
      left -= here;
    }
  } else {
    ASSERT_TRUE(Offer({whole}));
  }
  const std::string frame = NoiseFrame(kNetMaxFrameBytes, 9);
  backend_.to_receive.push_back(WithHeader(frame));
  Drain();
  EXPECT_EQ(Collect(), frame);
}

// bad_inputs 31: "RX chain smaller than packet".
TEST_P(SingleBufferReceiveTest, FrameThatIsTooLargeForItIsDroppedAlone) {
  ASSERT_TRUE(Offer({200}));
  backend_.to_receive = {WithHeader(NoiseFrame(1000, 1)),
                         WithHeader(NoiseFrame(100, 2))};
  Drain();
  EXPECT_EQ(Collect(), NoiseFrame(100, 2));
  EXPECT_EQ(drops(NetDrop::kNoRoom), 1u);
}

// bad_inputs 31: "only header room / 1-byte buffers".
TEST_P(ReceiveQueueTest, BuffersWithoutRoomForAHeaderComeBackEmpty) {
  ASSERT_TRUE(Offer({1}));
  ASSERT_TRUE(Offer({static_cast<uint32_t>(header_bytes()) - 1}));
  ASSERT_TRUE(driver_.Chain().Readable("not for writing").Offer().has_value());
  ASSERT_TRUE(Offer({300}));
  backend_.to_receive.push_back(WithHeader(NoiseFrame(60, 1)));
  Drain();
  for (int i = 0; i < 3; ++i) {
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    ASSERT_TRUE(used.has_value());
    EXPECT_EQ(used->len, 0u);
  }
  EXPECT_EQ(Collect(), NoiseFrame(60, 1));
  EXPECT_EQ(counters_.short_buffers.value(), 3u);
  EXPECT_TRUE(queue_.ok());
}

// bad_inputs 31: a header's room and nothing else, then a byte at a time.
TEST_P(MergeableReceiveTest, MergeableBuffersMayBeAsSmallAsTheyLike) {
  ASSERT_TRUE(Offer({static_cast<uint32_t>(header_bytes())}));
  for (int i = 0; i < 14; ++i) ASSERT_TRUE(Offer({1}));
  ASSERT_TRUE(Offer({static_cast<uint32_t>(header_bytes()) + 60}));
  backend_.to_receive = {WithHeader(NoiseFrame(14, 1)),
                         WithHeader(NoiseFrame(60, 2))};
  Drain();
  EXPECT_EQ(Collect(), NoiseFrame(14, 1));
  EXPECT_EQ(Collect(), NoiseFrame(60, 2));
}

TEST_P(MergeableReceiveTest, FrameWaitsForMoreBuffersAndIsWholeThen) {
  ASSERT_TRUE(Offer({500}));
  const std::string frame = NoiseFrame(5000, 4);
  backend_.to_receive = {WithHeader(frame), WithHeader(NoiseFrame(60, 5))};
  Drain();
  EXPECT_FALSE(Collect().has_value());
  QueueWait wait = handler_->Wait();
  EXPECT_TRUE(wait.buffers);
  EXPECT_NE(wait.deadline_ns, QueueWait::kForever);
  ASSERT_TRUE(Offer({3000, 7}));
  Drain();
  EXPECT_FALSE(Collect().has_value());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Offer({1000, 500}));
  Drain();
  EXPECT_EQ(Collect(), frame);
  EXPECT_EQ(Collect(), NoiseFrame(60, 5));
  EXPECT_EQ(drops(NetDrop::kNoRoom), 0u);
}

// bad_inputs 30: "num_buffers written after unmap: CVE-2021-3748". The header
// of a frame that waits for buffers is still to be written; not so when the
// queue has been stopped.
TEST_P(MergeableReceiveTest, FrameInHandIsForgottenWithItsQueue) {
  ASSERT_TRUE(Offer({500}));
  backend_.to_receive = {WithHeader(NoiseFrame(5000, 4))};
  Drain();
  handler_->QueueStopped();
  std::vector<uint8_t> before(0xe00000);
  std::vector<uint8_t> after(before.size());
  ASSERT_TRUE(
      memory_.Read(memory::GuestAddress(0x10000), absl::MakeSpan(before)));
  FakeDriver next(memory_, {.size = kSize,
                            .base = memory::GuestAddress(0xe10000),
                            .bytes = 0x100000});
  Virtqueue queue = Virtqueue::Create(memory_, next.config()).value();
  handler_->QueueStarted(queue);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(next.Chain().Writable(1000).Offer().has_value());
  }
  backend_.to_receive = {WithHeader(NoiseFrame(60, 5))};
  while (handler_->Drain(queue)) {
  }
  (void)queue.Publish();
  const std::optional<FakeDriver::Used> used = next.GetUsed();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->data.substr(header_bytes()), NoiseFrame(60, 5));
  ASSERT_TRUE(
      memory_.Read(memory::GuestAddress(0x10000), absl::MakeSpan(after)));
  EXPECT_TRUE(before == after);
}

// A driver whose whole ring is too small for a frame does not wait for it for
// good.
TEST_P(MergeableReceiveTest, FrameThatNeverFindsRoomIsDroppedInTheEnd) {
  ASSERT_TRUE(Offer({100}));
  backend_.to_receive = {WithHeader(NoiseFrame(5000, 4)),
                         WithHeader(NoiseFrame(60, 5))};
  while (drops(NetDrop::kNoRoom) == 0) Drain();
  EXPECT_EQ(Collect(), NoiseFrame(60, 5));
}

TEST_P(ReceiveQueueTest, FrameWithAnOffloadThatTheDriverLacksIsDropped) {
  ASSERT_TRUE(Offer({3000}));
  std::string frame = WithHeader(NoiseFrame(1000, 4));
  frame[0] = 1;  // NEEDS_CSUM
  backend_.to_receive.push_back(frame);
  frame[1] = 1;  // GSO_TCPV4
  frame[4] = 100;
  backend_.to_receive.push_back(frame);
  backend_.to_receive.push_back(WithHeader(NoiseFrame(60, 5)));
  Drain();
  EXPECT_EQ(Collect(), NoiseFrame(60, 5));
  EXPECT_EQ(drops(NetDrop::kOffload), 2u);
}

TEST_P(ReceiveQueueTest, OffloadHeaderReachesTheDriver) {
  Start(FeatureSet::Of(kNetGuestCsum, kNetGuestTso4));
  ASSERT_TRUE(Offer({3000}));
  std::string frame = NoiseFrame(1000, 4);
  const std::string header("\x01\x01\x36\x00\xa8\x05\x22\x00\x10\x00", 10);
  backend_.to_receive.push_back(header + std::string(2, '\0') + frame);
  Drain();
  EXPECT_EQ(Collect(), frame);
  EXPECT_EQ(last_header_.substr(0, 12), header + std::string("\x01\x00", 2));
}

TEST_P(ReceiveQueueTest, UnwantedFrameLeavesItsBufferForTheNext) {
  Start(FeatureSet::Of(kNetCtrlVq, kNetCtrlRx));
  NetSettings settings = *settings_.Current();
  settings.filter.SetMode(ReceiveFilter::kPromiscuous, false);
  settings.filter.SetMac({2, 0, 0, 0, 0, 1});
  settings_.Publish(settings);
  ASSERT_TRUE(Offer({2000}));
  std::string own = NoiseFrame(80, 1);
  own.replace(0, 6, std::string("\x02\x00\x00\x00\x00\x01", 6));
  std::string other = own;
  other[5] = 9;
  backend_.to_receive = {WithHeader(other), WithHeader(own)};
  Drain();
  EXPECT_EQ(Collect(), own);
  EXPECT_EQ(drops(NetDrop::kFiltered), 1u);
}

TEST_P(ReceiveQueueTest, FramesThatLieReadyKeepTheirOrderAmongOthers) {
  Start(FeatureSet::Of(kNetGuestCsum));
  std::deque<std::string> expected;
  for (uint32_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(i % 11 == 10 ? Offer({100, 1900}) : Offer({2000}));
    const std::string frame = NoiseFrame(60 + i * 40, i);
    std::string all = WithHeader(frame);
    if (i % 7 == 6) all[0] = 2;  // DATA_VALID: not without a header.
    backend_.to_receive.push_back(all);
    expected.push_back(frame);
  }
  Drain();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(Collect(), expected[i]) << i;
    EXPECT_EQ(last_header_[0], i % 7 == 6 ? 2 : 0);
  }
  EXPECT_EQ(Collect(), std::nullopt);
  EXPECT_EQ(counters_.frames.value(), 40u);
  EXPECT_EQ(counters_.bytes.value(), 40u * 60 + 40 * 39 * 20);
  EXPECT_EQ(backend_.copied != 0, !hashes());
}

TEST_P(ReceiveQueueTest, FramesThatLieReadyGoByTheSettingsThatCameMeanwhile) {
  Start(FeatureSet::Of(kNetCtrlVq, kNetCtrlRx));
  NetSettings settings = *settings_.Current();
  settings.filter.SetMode(ReceiveFilter::kPromiscuous, true);
  settings_.Publish(settings);
  settings.filter.SetMode(ReceiveFilter::kPromiscuous, false);
  settings.filter.SetMac({2, 0, 0, 0, 0, 1});
  bool published = false;
  backend_.after_copy = [&] {
    if (!published) settings_.Publish(settings);
    published = true;
  };
  if (hashes()) backend_.after_copy();  // There, frames are never copied.
  std::string own = NoiseFrame(80, 1);
  own.replace(0, 6, std::string("\x02\x00\x00\x00\x00\x01", 6));
  std::string other = own;
  other[5] = 9;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Offer({2000}));
    backend_.to_receive.push_back(WithHeader(other));
    backend_.to_receive.push_back(WithHeader(own));
  }
  Drain();
  EXPECT_TRUE(published);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Collect(), own);
  EXPECT_EQ(drops(NetDrop::kFiltered), 3u);
  EXPECT_EQ(backend_.copied, 0u);
}

// bad_inputs 30: "header length with HASH_REPORT: CVE-2023-6693". Twenty bytes
// with it, whose last eight are of the frame's hash; twelve without it, and the
// frame right behind them, whatever is hashed.
TEST_P(ReceiveQueueTest, HashIsReportedInAHeaderThatHasRoomForIt) {
  NetSettings settings = *settings_.Current();
  settings.rss = RssConfig::ParseHash(HashBytes(1u << kNetHashTcpv4)).value();
  settings_.Publish(settings);
  for (const VerificationVector& vector : Ipv4Vectors()) {
    const FrameBytes bytes = Ethernet(
        kTypeIpv4, Ipv4(vector.source, vector.destination, kTypeTcp,
                        Ports(vector.source_port, vector.destination_port)));
    const std::string frame(bytes.begin(), bytes.end());
    ASSERT_TRUE(Offer({7, 1, 9, 200}));
    backend_.to_receive.push_back(WithHeader(frame));
    Drain();
    ASSERT_EQ(Collect(), frame);
    if (!hashes()) continue;
    const FrameBytes report =
        Joined({Little32(vector.ports_hash), Little16(kNetHashTcpv4 + 1),
                Little16(0)});
    EXPECT_EQ(last_header_.substr(12),
              std::string(report.begin(), report.end()));
  }
  // A frame of which nothing is hashed has none of the last one's.
  ASSERT_TRUE(Offer({200}));
  backend_.to_receive.push_back(WithHeader(std::string(60, '\0')));
  Drain();
  ASSERT_EQ(Collect(), std::string(60, '\0'));
  if (hashes()) {
    EXPECT_EQ(last_header_.substr(12), std::string(8, '\0'));
  }
}

// bad_inputs 39.
TEST_P(ReceiveQueueTest, BackendThatFailsOrVanishesIsSurvived) {
  ASSERT_TRUE(Offer({2000}));
  backend_.failures = {TransferStatus::kDropped};
  backend_.to_receive.push_back(WithHeader(NoiseFrame(60, 5)));
  Drain();
  EXPECT_EQ(Collect(), NoiseFrame(60, 5));
  ASSERT_TRUE(Offer({2000}));
  backend_.failures = {TransferStatus::kGone};
  Drain();
  const QueueWait wait = handler_->Wait();
  EXPECT_FALSE(wait.buffers);
  EXPECT_FALSE(wait.waits_for_fds());
  EXPECT_EQ(wait.deadline_ns, QueueWait::kForever);
}

TEST_P(ReceiveQueueTest, RateLimitHoldsFramesBackAndLosesNone) {
  Start({}, {.frames_per_second = 1000, .burst_frames = 4});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Offer({200}));
    backend_.to_receive.push_back(WithHeader(NoiseFrame(60, i)));
  }
  EXPECT_FALSE(handler_->Drain(queue_));
  uint32_t seen = 0;
  while (seen < 10) {
    (void)queue_.Publish();
    while (const std::optional<std::string> frame = Collect()) {
      ASSERT_EQ(*frame, NoiseFrame(60, seen++));
    }
    ASSERT_TRUE(seen == 10 || !handler_->Wait().buffers);
    (void)handler_->Drain(queue_);
  }
}

std::string Name(
    const testing::TestParamInfo<ReceiveQueueTest::ParamType>& info) {
  return std::string(std::get<0>(info.param) ? "packed" : "split") +
         (std::get<1>(info.param) ? "_indirect" : "") +
         (std::get<2>(info.param) ? "_in_order" : "") +
         (std::get<3>(info.param) ? "_mergeable" : "") +
         (std::get<4>(info.param) ? "_hash" : "");
}

INSTANTIATE_TEST_SUITE_P(All, ReceiveQueueTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Bool(), testing::Bool(),
                                          testing::Bool()),
                         Name);
INSTANTIATE_TEST_SUITE_P(All, SingleBufferReceiveTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Bool(),
                                          testing::Values(false),
                                          testing::Bool()),
                         Name);
INSTANTIATE_TEST_SUITE_P(All, MergeableReceiveTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Bool(),
                                          testing::Values(true),
                                          testing::Bool()),
                         Name);

}  // namespace
}  // namespace annulus::virtio
