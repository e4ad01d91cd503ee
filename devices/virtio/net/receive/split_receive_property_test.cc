// Header-split receive against a model of its definition: frames, buffers and
// settings are random, and all that the driver sees is predicted, to the byte.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/header_split/split_counters.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/receive/split_receive_model.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

// Elements of all buffers together: as many as the device can hold at once.
constexpr size_t kElements = 56;

using Random = std::mt19937;

uint32_t Below(Random& random, uint32_t limit) { return random() % limit; }
bool OneIn(Random& random, uint32_t n) { return random() % n == 0; }

struct BackendFrame {
  std::string bytes;
  NetHeader header;
};

// Trains of frames of one kind, as they come, with others in between.
class FrameSource {
 public:
  explicit FrameSource(Random& random) : random_(random) {}

  BackendFrame Next() {
    if (OneIn(random_, 6)) spec_ = RandomSpec();
    ++spec_.seed;
    if (OneIn(random_, 3)) spec_.payload = RandomPayload();
    BackendFrame frame = {.bytes = MakeFrame(spec_), .header = {}};
    switch (Below(random_, 24)) {
      case 0:  // To be split at the same place, but for a lie.
        frame.header = GsoHeader(spec_);
        frame.header.csum_start = static_cast<uint16_t>(
            frame.header.csum_start + Below(random_, 3) - 1);
        break;
      case 1:
      case 2:
        frame.header = GsoHeader(spec_);
        break;
      case 3:
        frame.header = {.flags = kNetHeaderDataValid};
        break;
      case 4:  // Something in the headers is not what it was.
        for (uint32_t n = 1 + Below(random_, 3); n > 0; --n) {
          const size_t at = 12 + Below(random_, 60);
          if (at >= frame.bytes.size()) break;
          frame.bytes[at] =
              static_cast<char>(frame.bytes[at] ^ 1 << Below(random_, 8));
        }
        break;
      case 5:
        frame.bytes.resize(std::max<size_t>(
            14, Below(random_, static_cast<uint32_t>(frame.bytes.size()))));
        break;
      case 6:
        frame.bytes = NoiseFrame(14 + Below(random_, 3000), spec_.seed);
        break;
      default:
        break;
    }
    return frame;
  }

 private:
  size_t RandomPayload() {
    switch (Below(random_, 8)) {
      case 0:
        return 0;
      case 1:
        return 1;
      case 2:
        return 4096;
      case 3:
        return OneIn(random_, 5) ? 65000 - Below(random_, 3000) : 1448;
      default:
        return Below(random_, 3000);
    }
  }

  FrameSpec RandomSpec() {
    FrameSpec spec;
    spec.vlans = OneIn(random_, 4) ? static_cast<int>(Below(random_, 4)) : 0;
    spec.ipv6 = OneIn(random_, 2);
    spec.udp = OneIn(random_, 3);
    if (OneIn(random_, 3)) spec.ip_options = 4 * Below(random_, 11);
    if (OneIn(random_, 10)) {
      spec.fragment = static_cast<uint16_t>(random_() & 0x7fff);
    }
    if (OneIn(random_, 3)) {
      for (uint32_t n = Below(random_, 10); n > 0; --n) {
        constexpr uint8_t kTypes[] = {0, 43, 60, 51, 60, 0, 60, 60, 44, 50};
        spec.extensions.push_back(kTypes[Below(random_, n > 7 ? 10 : 8)]);
      }
    }
    spec.tcp_options = OneIn(random_, 2) ? 12 : 4 * Below(random_, 11);
    if (OneIn(random_, 10)) spec.padding = 1 + Below(random_, 20);
    spec.port = static_cast<uint16_t>(1000 + Below(random_, 4));
    spec.seed = random_();
    spec.payload = RandomPayload();
    return spec;
  }

  Random& random_;
  FrameSpec spec_ = {.tcp_options = 12, .payload = 1448};
};

// Rings and negotiated features.
class SplitPropertyTest : public testing::TestWithParam<SplitShape> {
 protected:
  bool mergeable() const { return GetParam().mergeable; }

  void ChangeSettings() {
    if (GetParam().header_queue && OneIn(random_, 2)) {
      ChangeHeaderQueue();
      return;
    }
    SplitSettings split;
    if (!OneIn(random_, 8)) {
      split.types =
          OneIn(random_, 4) ? random_() & kSplitAllTypes : kSplitAllTypes;
    }
    if (OneIn(random_, 6)) split.threshold = Below(random_, 2000);
    if (mergeable()) {
      split.method = OneIn(random_, 2) ? SplitMethod::kBuffers
                                       : SplitMethod::kSmallBuffers;
      static constexpr uint16_t kLengths[] = {1,   128,  256,   256,
                                              256, 2000, 0xffff};
      split.header_buffer_bytes = kLengths[Below(random_, 7)];
    }
    receiver_.Set(split);
    model_.Set(split);
  }

  void ChangeHeaderQueue() {
    if (OneIn(random_, 3)) {
      receiver_.Attach(nullptr);
      model_.Attach(nullptr);
      attached_ = nullptr;
      return;
    }
    const size_t i = Below(random_, 2);
    if (queues_[i].area == nullptr ||
        (attached_ != &queues_[i] && OneIn(random_, 2))) {
      Create(i);
    }
    attached_ = &queues_[i];
    receiver_.Attach(attached_->area->queue());
    model_.Attach(attached_->model);
  }

  void Create(size_t i) {
    queues_[i].area = std::make_unique<HeaderArea>(
        receiver_.memory(),
        HeaderArea::Options{
            .id = static_cast<uint16_t>(3 + 7 * i),
            .slot_bytes = static_cast<uint16_t>(64 * (1 + Below(random_, 5))),
            .log_slots = static_cast<uint16_t>(Below(random_, 5)),
            .types =
                OneIn(random_, 3) ? 1 + Below(random_, 15) : kSplitAllTypes,
            .threshold = OneIn(random_, 3) ? Below(random_, 2000) : 0,
            .base = memory::GuestAddress(0xf00000 + 0x10000 * i)});
    queues_[i].model = std::make_shared<SplitModel::Slots>(SplitModel::Slots{
        .config = queues_[i].area->config(), .all = queues_[i].area->All()});
  }

  // The driver gives some slots back.
  void RaiseTail() {
    if (attached_ == nullptr) return;
    SplitModel::Slots& slots = *attached_->model;
    const uint16_t used = static_cast<uint16_t>(slots.tail - slots.head);
    const uint32_t most = attached_->area->slots() - used;
    slots.tail = static_cast<uint16_t>(slots.tail + Below(random_, most + 1));
    attached_->area->SetTail(slots.tail);
  }

  std::vector<uint32_t> RandomBuffer() {
    std::vector<uint32_t> sizes;
    if (mergeable() && OneIn(random_, 12)) return {0};
    switch (mergeable() ? Below(random_, 8) : (1 + Below(random_, 5)) % 4) {
      case 0:  // Of any shape.
        for (uint32_t n = 1 + Below(random_, 6); n > 0; --n) {
          sizes.push_back(Below(random_, OneIn(random_, 2) ? 40 : 3000));
        }
        break;
      case 1:
        sizes = {64 + Below(random_, 200), 1 + Below(random_, 2000), 4096};
        break;
      case 2:
        sizes = {128, OneIn(random_, 4) ? 70000u : 4096u};
        break;
      case 3:
        sizes = {Below(random_, OneIn(random_, 6) ? 70000 : 5000)};
        if (!mergeable()) sizes.insert(sizes.begin(), 128);
        break;
      case 4:
      case 5:
        sizes = {256};
        break;
      case 6:
        sizes = {4096};
        break;
      default:
        sizes = {1 + Below(random_, 300)};
        break;
    }
    // One that is too short for most frames stays in the way for long.
    if (!mergeable() && !OneIn(random_, 40)) {
      sizes.push_back(1600 + Below(random_, 3000));
    }
    return sizes;
  }

  void Offer(const std::vector<uint32_t>& sizes) {
    ASSERT_TRUE(receiver_.Offer(sizes));
    model_.Offer(sizes);
  }

  void OfferSome() {
    // A frame that waits finds room now: it would not do so for good.
    if (model_.waits()) Offer({70000});
    for (uint32_t n = Below(random_, 10); n > 0; --n) {
      const std::vector<uint32_t> sizes = RandomBuffer();
      if (model_.offered_elements() + sizes.size() > kElements) return;
      Offer(sizes);
    }
  }

  void GiveSome(FrameSource& source) {
    for (uint32_t n = Below(random_, 8); n > 0; --n) {
      const BackendFrame frame = source.Next();
      receiver_.Give(WithNetHeader(frame.bytes, frame.header));
      model_.Give(frame.bytes, frame.header);
    }
  }

  void ServeAndCompare() {
    const uint64_t before = receiver_.split().mispredicted.value();
    const uint64_t drops = Drops();
    receiver_.Drain();
    ASSERT_TRUE(receiver_.queue().ok());
    const std::vector<SplitModel::Packet> packets = model_.Serve();
    // Short frames are read wherever it may be, and that is not counted.
    bool clean = receiver_.split().mispredicted.value() == before &&
                 Drops() == drops && !model_.waits();
    for (const SplitModel::Packet& packet : packets) {
      clean = clean && (packet.frame.empty() ||
                        packet.frame.size() > kUsualSplitHeaderBytes);
    }
    for (const SplitModel::Packet& packet : packets) {
      SCOPED_TRACE(testing::Message()
                   << "L " << packet.frame.size() << " split " << packet.split
                   << " by "
                   << "ABCQ"[static_cast<size_t>(packet.method)] << " at "
                   << packet.header_bytes << ", " << packet.buffers.size()
                   << " buffers");
      std::vector<FakeDriver::Used> used;
      for (size_t i = 0; i < packet.buffers.size(); ++i) {
        std::optional<FakeDriver::Used> one = receiver_.driver().GetUsed();
        ASSERT_TRUE(one.has_value()) << "buffer " << i;
        ASSERT_NO_FATAL_FAILURE(
            Compare(packet, packet.buffers[i], *one, i == 0, clean));
        used.push_back(*std::move(one));
      }
      if (!packet.frame.empty() && !packet.split) {
        ASSERT_NO_FATAL_FAILURE(CompareToNoFeature(packet, used));
      }
    }
    ASSERT_FALSE(receiver_.driver().GetUsed().has_value());
    if (!clean) model_.Mispredicted();
    for (const Queue& queue : queues_) {
      if (queue.area == nullptr) continue;
      ASSERT_EQ(queue.area->All(), queue.model->all);
    }
    CompareCounters();
  }

  static void Compare(const SplitModel::Packet& packet,
                      const SplitModel::Buffer& buffer,
                      const FakeDriver::Used& used, bool first, bool clean) {
    ASSERT_EQ(used.len, buffer.len);
    ASSERT_EQ(used.writable_bytes, buffer.all.size());
    std::string expected = buffer.all;
    std::string seen = used.all;
    if (!clean || buffer.may_be_dirty) {
      expected.resize(buffer.len);
      seen.resize(buffer.len);
      if (first && packet.hold_begin != packet.hold_end) {
        expected.erase(packet.hold_begin, packet.hold_end - packet.hold_begin);
        seen.erase(packet.hold_begin, packet.hold_end - packet.hold_begin);
      }
    }
    if (seen == expected) return;
    const size_t at = static_cast<size_t>(
        std::mismatch(seen.begin(), seen.end(), expected.begin()).first -
        seen.begin());
    FAIL() << "byte " << at << " of " << used.len << " and "
           << used.writable_bytes << ": " << int{static_cast<uint8_t>(seen[at])}
           << " instead of " << int{static_cast<uint8_t>(expected[at])};
  }

  // A queue that never heard of splits, with the same buffers.
  void CompareToNoFeature(const SplitModel::Packet& packet,
                          const std::vector<FakeDriver::Used>& used) {
    for (const SplitModel::Buffer& buffer : packet.buffers) {
      ASSERT_TRUE(plain_.Offer(buffer.elements));
    }
    plain_.Give(WithNetHeader(packet.frame, packet.header));
    plain_.Drain();
    for (const FakeDriver::Used& one : used) {
      const std::optional<FakeDriver::Used> other = plain_.driver().GetUsed();
      ASSERT_TRUE(other.has_value());
      ASSERT_EQ(one.len, other->len);
      ASSERT_TRUE(one.data == other->data);
    }
  }

  uint64_t Drops() const {
    return receiver_.drops(NetDrop::kNoRoom) +
           receiver_.drops(NetDrop::kOffload);
  }

  void CompareCounters() {
    const SplitModel::Counts& counts = model_.counts();
    const SplitCounters& split = receiver_.split();
    ASSERT_EQ(receiver_.counters().frames.value(), counts.frames);
    ASSERT_EQ(receiver_.counters().short_buffers.value(), counts.short_buffers);
    ASSERT_EQ(receiver_.drops(NetDrop::kNoRoom), counts.no_room);
    ASSERT_EQ(receiver_.drops(NetDrop::kOffload), counts.offload);
    ASSERT_EQ(split.split_packets.value(), counts.split_packets);
    ASSERT_EQ(split.split_header_bytes.value(), counts.split_header_bytes);
    ASSERT_EQ(split.split_payload_bytes.value(), counts.split_payload_bytes);
    ASSERT_EQ(split.unsplit_not_eligible.value(), counts.not_eligible);
    ASSERT_GE(split.unsplit_header_too_big.value(), counts.header_too_big);
    ASSERT_GE(split.unsplit_no_slot.value(), counts.no_slot);
    ASSERT_GE(split.unsplit_no_space.value(), counts.no_space);
    ASSERT_EQ(split.unsplit_header_too_big.value() +
                  split.unsplit_no_slot.value() +
                  split.unsplit_no_space.value(),
              counts.other_unsplit);
    ASSERT_EQ(split.header_queue_errors.value(), 0u);
  }

  static uint32_t SeedOf(const SplitShape& shape) {
    uint32_t seed = 1;
    for (const bool bit : {shape.packed, shape.indirect, shape.in_order,
                           shape.mergeable, shape.hash, shape.header_queue}) {
      seed = 2 * seed + (bit ? 1 : 0);
    }
    return seed;
  }

  struct Queue {
    std::unique_ptr<HeaderArea> area;
    std::shared_ptr<SplitModel::Slots> model;
  };

  // Each shape has frames of its own.
  Random random_{
      static_cast<uint32_t>(std::hash<std::string>()(NameOf(GetParam())))};
  SplitReceiver receiver_{GetParam()};
  SplitReceiver plain_{GetParam()};
  SplitModel model_{GetParam()};
  Queue queues_[2];
  Queue* attached_ = nullptr;
};

TEST_P(SplitPropertyTest, DriverSeesWhatTheDefinitionSays) {
  model_.SetRss(receiver_.settings().Current()->rss);
  FrameSource source(random_);
  for (int round = 0; round < 120; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    if (round == 0 || OneIn(random_, 8)) ChangeSettings();
    RaiseTail();
    ASSERT_NO_FATAL_FAILURE(OfferSome());
    GiveSome(source);
    ASSERT_NO_FATAL_FAILURE(ServeAndCompare());
  }
  // It was about something.
  EXPECT_GT(model_.counts().split_packets, 15u);
  EXPECT_GT(receiver_.split().predicted.value(), 5u);
  EXPECT_GT(receiver_.split().mispredicted.value(), 0u);
  EXPECT_GT(receiver_.split().unpredicted.value(), 5u);
}

INSTANTIATE_TEST_SUITE_P(All, SplitPropertyTest,
                         testing::ValuesIn(EveryShape()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace annulus::virtio
