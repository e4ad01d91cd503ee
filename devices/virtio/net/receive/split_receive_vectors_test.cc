// The test vectors of header-split receive, one by one, in all four methods:
// see docs/header_split.md. Every one as the first frame that a queue receives,
// at the end of a run of its own kind, and after a run of another.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/header_split/split_counters.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Sizes = std::vector<uint32_t>;

constexpr SplitMethod kMethods[] = {SplitMethod::kChain, SplitMethod::kBuffers,
                                    SplitMethod::kSmallBuffers,
                                    SplitMethod::kHeaderQueue};

// What came before a frame.
enum class Before : uint8_t { kNothing, kOfItsKind, kOfAnotherKind };

struct Vector {
  std::string frame;
  NetHeader header = {};
  std::vector<Sizes> buffers = {};
  Sizes used = {};        // used.len of each.
  uint32_t split_at = 0;  // H; 0: not split.
  uint16_t slot_bytes = 128;
  uint32_t number = 0;  // The vector's.
};

// How many bytes each buffer gets by the base rules.
Sizes Plain(const std::vector<Sizes>& buffers, size_t bytes) {
  Sizes used;
  for (const Sizes& sizes : buffers) {
    const size_t size = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
    used.push_back(static_cast<uint32_t>(std::min(size, bytes)));
    bytes -= used.back();
    if (bytes == 0) break;
  }
  return used;
}

// Ring format, indirect, in-order, hash, header queue; MRG_RXBUF where the
// method wants it.
class SplitVectorsTest : public testing::TestWithParam<SplitShape> {
 protected:
  void SetMethod(SplitMethod method, bool mergeable) {
    method_ = method;
    shape_ = GetParam();
    shape_.mergeable = mergeable;
    if (method == SplitMethod::kHeaderQueue) shape_.header_queue = true;
  }
  // As every method is used most.
  void SetMethod(SplitMethod method) {
    SetMethod(method, method != SplitMethod::kChain &&
                          method != SplitMethod::kHeaderQueue);
  }
  uint32_t header_bytes() const { return shape_.header_bytes(); }

  // Buffers that have room for 8 KiB and a header, however it is split.
  std::vector<Sizes> UsualBuffers() const {
    switch (method_) {
      case SplitMethod::kChain:
        return {{128, 8192}};
      case SplitMethod::kBuffers:
        return {{4096}, {4096}, {4096}};
      case SplitMethod::kSmallBuffers:
        return {{256}, {8192}};
      case SplitMethod::kHeaderQueue:
        break;
    }
    if (shape_.mergeable) return {{4096}, {4096}, {4096}};
    return {{8400}};
  }

  // A frame of up to 4 KiB with UsualBuffers(), split at H.
  Vector Split(uint32_t number, const FrameSpec& spec,
               uint32_t split_at) const {
    Vector vector = {.frame = MakeFrame(spec),
                     .buffers = UsualBuffers(),
                     .split_at = split_at,
                     .number = number};
    const uint32_t payload =
        static_cast<uint32_t>(vector.frame.size()) - split_at;
    switch (method_) {
      case SplitMethod::kChain:
        vector.used = {128 + payload};
        break;
      case SplitMethod::kBuffers:
      case SplitMethod::kSmallBuffers:
        vector.used = {header_bytes() + split_at, payload};
        break;
      case SplitMethod::kHeaderQueue:
        vector.used = Plain(vector.buffers, header_bytes() + payload);
    }
    return vector;
  }
  Vector Unsplit(uint32_t number, const std::string& frame) const {
    return {.frame = frame,
            .buffers = UsualBuffers(),
            .used = Plain(UsualBuffers(), header_bytes() + frame.size()),
            .number = number};
  }

  void Check(const Vector& vector) const {
    SCOPED_TRACE(testing::Message() << "vector " << vector.number << ", method "
                                    << "ABCQ"[static_cast<size_t>(method_)]);
    Check(vector, Before::kNothing);
    Check(vector, Before::kOfItsKind);
    Check(vector, Before::kOfAnotherKind);
  }

  void Check(const Vector& vector, Before before) const {
    SCOPED_TRACE(testing::Message() << "before: " << static_cast<int>(before));
    SplitReceiver receiver(shape_);
    HeaderArea area(receiver.memory(),
                    {.id = 5, .slot_bytes = vector.slot_bytes});
    area.SetTail(static_cast<uint16_t>(area.slots()));
    if (method_ == SplitMethod::kHeaderQueue) {
      receiver.Attach(area.queue());
    } else {
      receiver.Set({.types = kSplitAllTypes,
                    .method = method_,
                    .header_buffer_bytes = 256});
    }
    constexpr int kRun = 5;
    const bool alone = before == Before::kNothing;
    const std::string other =
        vector.split_at != 0 ? NoiseFrame(vector.frame.size(), 1)
                             : MakeFrame({.tcp_options = 12, .payload = 2000});
    for (int i = 0; !alone && i < kRun; ++i) {
      if (before == Before::kOfItsKind) {
        for (size_t n = 0; n < vector.used.size(); ++n) {
          ASSERT_TRUE(receiver.Offer(vector.buffers[n]));
        }
        receiver.Give(WithNetHeader(vector.frame, vector.header));
      } else if (vector.split_at != 0) {
        ASSERT_TRUE(receiver.Offer({70000}));
        receiver.Give(WithNetHeader(other));
      } else {
        // As many as are used.
        const bool one = method_ == SplitMethod::kChain ||
                         method_ == SplitMethod::kHeaderQueue;
        for (size_t n = 0; n < (one ? 1 : 2); ++n) {
          ASSERT_TRUE(receiver.Offer(UsualBuffers()[n]));
        }
        receiver.Give(WithNetHeader(other));
      }
      receiver.Drain();
      ASSERT_FALSE(receiver.Collect().empty());
      ASSERT_EQ(receiver.driver().free_descriptors(), SplitReceiver::kSize);
    }
    // Of short frames it is not said how they were read.
    const bool counted = vector.frame.size() > kUsualSplitHeaderBytes;
    const bool own = before == Before::kOfItsKind && counted;
    if (own) {
      EXPECT_GE(receiver.split().predicted.value(), 1u);
    }
    const uint64_t splits = receiver.split().split_packets.value();
    const uint16_t slot = static_cast<uint16_t>(splits);
    const std::string slots = area.All();
    const uint64_t mispredicted = receiver.split().mispredicted.value();
    for (const Sizes& sizes : vector.buffers) {
      ASSERT_TRUE(receiver.Offer(sizes));
    }
    receiver.Give(WithNetHeader(vector.frame, vector.header));
    receiver.Drain();
    const std::vector<FakeDriver::Used> used = receiver.Collect();
    Sizes lens;
    for (const FakeDriver::Used& one : used) lens.push_back(one.len);
    ASSERT_EQ(lens, vector.used);
    CheckHeader(vector, used[0].data, slot);
    const bool clean =
        alone ||
        (counted && receiver.split().mispredicted.value() == mispredicted);
    if (alone) {
      EXPECT_EQ(receiver.split().predicted.value(), 0u);
      EXPECT_EQ(receiver.split().mispredicted.value(), 0u);
    }
    if (vector.split_at == 0) {
      EXPECT_EQ(receiver.split().split_packets.value(), splits);
      EXPECT_EQ(area.All(), slots);
      CheckUnsplit(vector, used, clean);
    } else {
      EXPECT_EQ(receiver.split().split_packets.value(), splits + 1);
      CheckSplit(vector, used, clean, area.Slot(slot));
    }
    if (alone) CheckCounters(vector, receiver.split());
    EXPECT_EQ(CountedFrames(receiver.split()),
              receiver.counters().frames.value());
  }

  static uint64_t CountedFrames(const SplitCounters& split) {
    return split.split_packets.value() + split.unsplit_not_eligible.value() +
           split.unsplit_header_too_big.value() +
           split.unsplit_no_slot.value() + split.unsplit_no_space.value();
  }

  static void CheckCounters(const Vector& vector, const SplitCounters& split) {
    const uint64_t payload = vector.frame.size() - vector.split_at;
    const bool is_split = vector.split_at != 0;
    EXPECT_EQ(split.split_packets.value(), is_split ? 1u : 0u);
    EXPECT_EQ(split.split_header_bytes.value(), vector.split_at);
    EXPECT_EQ(split.split_payload_bytes.value(), is_split ? payload : 0u);
    EXPECT_EQ(split.header_queue_errors.value(), 0u);
    EXPECT_EQ(split.unpredicted.value(),
              vector.frame.size() > kUsualSplitHeaderBytes ? 1u : 0u);
    if (is_split) return;
    if (vector.number == 4) {
      EXPECT_EQ(split.unsplit_header_too_big.value(), 1u);
    } else {
      EXPECT_EQ(split.unsplit_not_eligible.value(), 1u);
    }
  }

  void CheckHeader(const Vector& vector, const std::string& header,
                   uint16_t slot) const {
    const bool split = vector.split_at != 0;
    EXPECT_EQ(FlagsOf(header), vector.header.flags | (split ? 0x80 : 0));
    EXPECT_EQ(header[1], static_cast<char>(vector.header.gso_type));
    EXPECT_EQ(HdrLenOf(header),
              split ? vector.split_at : vector.header.hdr_len);
    EXPECT_EQ(Field16(header, 4), vector.header.gso_size);
    EXPECT_EQ(Field16(header, 6), vector.header.csum_start);
    EXPECT_EQ(Field16(header, 8), vector.header.csum_offset);
    EXPECT_EQ(NumBuffersOf(header), vector.used.size());
    size_t offset = 12;
    if (shape_.hash) {
      const std::vector<uint8_t> bytes(vector.frame.begin(),
                                       vector.frame.end());
      const FlowHash hash =
          RssConfig::ParseHash(HashBytes(RssConfig::kSupportedHashTypes))
              ->Hash(absl::MakeConstSpan(bytes).first(
                  std::min(bytes.size(), kFlowPrefixBytes)));
      EXPECT_EQ(Field16(header, 12), hash.value & 0xffff);
      EXPECT_EQ(Field16(header, 14), hash.value >> 16);
      EXPECT_EQ(Field16(header, 16), hash.report);
      offset = 20;
    }
    if (!shape_.header_queue) return;
    const bool queued = split && method_ == SplitMethod::kHeaderQueue;
    EXPECT_EQ(Field16(header, offset), queued ? slot : 0);
    EXPECT_EQ(Field16(header, offset + 2), queued ? 5 : 0);
    EXPECT_EQ(Field16(header, offset + 4), 0);
    EXPECT_EQ(Field16(header, offset + 6), 0);
  }

  void CheckUnsplit(const Vector& vector,
                    const std::vector<FakeDriver::Used>& used,
                    bool clean) const {
    std::string bytes;
    for (const FakeDriver::Used& one : used) {
      bytes += one.data;
      if (clean) {
        EXPECT_EQ(one.all.substr(one.len), Untouched(one));
      }
    }
    EXPECT_EQ(bytes.substr(header_bytes()), vector.frame);
  }

  // Of a buffer, what is behind its used length.
  static std::string Untouched(const FakeDriver::Used& used) {
    return std::string(used.writable_bytes - used.len, '\xee');
  }

  void CheckSplit(const Vector& vector,
                  const std::vector<FakeDriver::Used>& used, bool clean,
                  const std::string& slot) const {
    const std::string head = vector.frame.substr(0, vector.split_at);
    const std::string payload = vector.frame.substr(vector.split_at);
    for (const FakeDriver::Used& one : used) {
      if (clean) {
        EXPECT_EQ(one.all.substr(one.len), Untouched(one));
      }
    }
    if (method_ == SplitMethod::kHeaderQueue) {
      std::string bytes;
      for (const FakeDriver::Used& one : used) bytes += one.data;
      EXPECT_EQ(bytes.substr(header_bytes()), payload);
      EXPECT_EQ(slot, head + std::string(slot.size() - head.size(), '\xdd'));
      return;
    }
    EXPECT_EQ(used[0].data.substr(header_bytes(), head.size()), head);
    if (method_ == SplitMethod::kChain) {
      // Here the first element's length is in the used length.
      const size_t first = used[0].len - payload.size();
      const size_t hold = header_bytes() + head.size();
      EXPECT_EQ(used[0].data.substr(hold, first - hold),
                std::string(first - hold, '\xee'));
      EXPECT_EQ(used[0].data.substr(first), payload);
      return;
    }
    std::string bytes;
    for (size_t i = 1; i < used.size(); ++i) bytes += used[i].data;
    EXPECT_EQ(bytes, payload);
  }

  SplitMethod method_ = SplitMethod::kChain;
  SplitShape shape_;
};

// 1. "IPv4/TCP with timestamps, P = 4096: H = 66."
TEST_P(SplitVectorsTest, Vector1TcpWithTimestamps) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    Check(Split(1, {.tcp_options = 12, .payload = 4096}, 66));
  }
  // The buffers of the vector.
  SetMethod(SplitMethod::kChain);
  Vector vector = Split(1, {.tcp_options = 12, .payload = 4096}, 66);
  vector.buffers = {{128, 4096}};
  vector.used = {4224};
  Check(vector);
  SetMethod(SplitMethod::kBuffers);
  vector.buffers = {{4096}, {4096}};
  vector.used = {header_bytes() + 66, 4096};
  Check(vector);
  SetMethod(SplitMethod::kHeaderQueue, /*mergeable=*/true);
  vector.used = {4096, header_bytes()};
  Check(vector);
  vector.buffers = {{6000}};
  vector.used = {header_bytes() + 4096};
  Check(vector);
}

// 2. "Pure ACK of 66 bytes: not split, all methods."
TEST_P(SplitVectorsTest, Vector2PureAcknowledgement) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    const std::string frame = MakeFrame({.tcp_options = 12});
    ASSERT_EQ(frame.size(), 66u);
    Check(Unsplit(2, frame));
  }
}

// 3. "First IPv4 fragment; IPv6 with a fragment header: not split."
TEST_P(SplitVectorsTest, Vector3Fragments) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    Check(Unsplit(3, MakeFrame({.fragment = 0x2000, .payload = 1000})));
    Check(Unsplit(
        3, MakeFrame({.udp = true, .fragment = 0x0001, .payload = 1000})));
    Check(Unsplit(
        3, MakeFrame({.ipv6 = true, .extensions = {44}, .payload = 1000})));
  }
}

// 4. "IHL 15 and doff 15: H = 134: Q with 128-byte slots delivers as is; B
// splits if buffer 0 >= 146; A with d0.len 128 as is."
TEST_P(SplitVectorsTest, Vector4LongestOfIpv4AndTcp) {
  const FrameSpec spec = {.ip_options = 40, .tcp_options = 40, .payload = 1000};
  const uint32_t all = 134 + 1000;
  ASSERT_EQ(MakeFrame(spec).size(), all);
  Vector vector = {.frame = MakeFrame(spec), .number = 4};
  for (const bool mergeable : {false, true}) {
    SetMethod(SplitMethod::kHeaderQueue, mergeable);
    Check(Unsplit(4, MakeFrame(spec)));
    vector = Split(4, spec, 134);
    vector.slot_bytes = 192;
    Check(vector);
  }
  for (const SplitMethod method :
       {SplitMethod::kBuffers, SplitMethod::kSmallBuffers}) {
    SetMethod(method);
    vector = {.frame = MakeFrame(spec), .split_at = 134, .number = 4};
    vector.buffers = {{header_bytes() + 134}, {2000}};
    vector.used = {header_bytes() + 134, 1000};
    Check(vector);
    vector.split_at = 0;
    vector.buffers = {{header_bytes() + 133}, {2000}};
    vector.used = {header_bytes() + 133, 1001};
    Check(vector);
  }
  SetMethod(SplitMethod::kChain);
  Check(Unsplit(4, MakeFrame(spec)));
  vector = {.frame = MakeFrame(spec), .split_at = 134, .number = 4};
  vector.buffers = {{header_bytes() + 134, 500, 500}};
  vector.used = {header_bytes() + all};
  Check(vector);
  vector.split_at = 0;
  vector.buffers = {{header_bytes() + 133, 500, 501}};
  Check(vector);
}

// 5. "One 802.1Q tag: H + 4."
TEST_P(SplitVectorsTest, Vector5VlanTag) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    Check(Split(5, {.vlans = 1, .tcp_options = 12, .payload = 4096}, 70));
  }
}

// 6. "UDP4 with P = 1: H = 42."
TEST_P(SplitVectorsTest, Vector6OneByteOfUdp) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    Check(Split(6, {.udp = true, .payload = 1}, 42));
  }
}

// 7. "GSO TCPv4, L = 65549: H = 66, P = 65483, B with 4 KiB buffers:
// num_buffers 17."
TEST_P(SplitVectorsTest, Vector7LargestOfTcp) {
  const FrameSpec spec = {.tcp_options = 12, .payload = 65483};
  Vector vector = {.frame = MakeFrame(spec),
                   .header = GsoHeader(spec),
                   .split_at = 66,
                   .number = 7};
  vector.header.hdr_len = 14;  // A hint of the backend's, and a bad one.
  ASSERT_EQ(vector.frame.size(), 65549u);
  SetMethod(SplitMethod::kBuffers);
  vector.buffers = std::vector<Sizes>(17, {4096});
  vector.used = Sizes(17, 4096);
  vector.used.front() = header_bytes() + 66;
  vector.used.back() = 65483 - 15 * 4096;
  Check(vector);
  SetMethod(SplitMethod::kSmallBuffers);
  vector.buffers.front() = {256};
  Check(vector);
  SetMethod(SplitMethod::kHeaderQueue, /*mergeable=*/true);
  vector.buffers = std::vector<Sizes>(16, {4096});
  vector.used = Sizes(16, 4096);
  vector.used.back() = header_bytes() + 65483 - 15 * 4096;
  Check(vector);
  SetMethod(SplitMethod::kHeaderQueue, /*mergeable=*/false);
  vector.buffers = {{66000}};
  vector.used = {header_bytes() + 65483};
  Check(vector);
  SetMethod(SplitMethod::kChain);
  vector.buffers = {{128, 4096, 65483 - 4096}};
  vector.used = {128 + 65483};
  Check(vector);
}

// 8. "doff beyond L: not split."
TEST_P(SplitVectorsTest, Vector8DataOffsetBeyondTheFrame) {
  std::string frame = MakeFrame({.payload = 20});
  frame[14 + 20 + 12] = '\xf0';
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    Check(Unsplit(8, frame));
  }
}

// 9. "tail - head > N: not split, error counted."
TEST_P(SplitVectorsTest, Vector9TailTooFarAhead) {
  for (const bool mergeable : {false, true}) {
    SetMethod(SplitMethod::kHeaderQueue, mergeable);
    SplitReceiver receiver(shape_);
    HeaderArea area(receiver.memory(), {});
    receiver.Attach(area.queue());
    area.SetTail(static_cast<uint16_t>(area.slots() + 1));
    const std::string before = area.All();
    const std::string frame = MakeFrame({.tcp_options = 12, .payload = 4000});
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(receiver.Offer({8192}));
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_EQ(used.size(), 1u);
      ASSERT_EQ(used[0].data.substr(header_bytes()), frame);
      EXPECT_EQ(FlagsOf(used[0].data), 0);
      EXPECT_EQ(HdrLenOf(used[0].data), 0);
      // A tail that would do comes too late.
      area.SetTail(static_cast<uint16_t>(area.slots()));
    }
    EXPECT_EQ(receiver.split().header_queue_errors.value(), 1u);
    EXPECT_EQ(receiver.split().split_packets.value(), 0u);
    EXPECT_EQ(CountedFrames(receiver.split()), 8u);
    EXPECT_EQ(area.All(), before);
  }
}

// 10. "A 60-byte padded frame: not split."
TEST_P(SplitVectorsTest, Vector10Padding) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    const std::string acknowledgement = MakeFrame({.padding = 6});
    ASSERT_EQ(acknowledgement.size(), 60u);
    Check(Unsplit(10, acknowledgement));
    Check(Unsplit(10, MakeFrame({.udp = true, .payload = 8, .padding = 10})));
    Check(Unsplit(
        10,
        MakeFrame({.ipv6 = true, .udp = true, .payload = 8, .padding = 1})));
  }
}

// 11. "C, header buffers 256, data 4096, P = 9000, order S D S D S D:
// num_buffers 6, used.len {78, 4096, 0, 4096, 0, 808}."
TEST_P(SplitVectorsTest, Vector11HeaderBuffersAreSkipped) {
  SetMethod(SplitMethod::kSmallBuffers);
  Vector vector = {.frame = MakeFrame({.tcp_options = 12, .payload = 9000}),
                   .split_at = 66,
                   .number = 11};
  vector.buffers = {{256}, {4096}, {256}, {4096}, {256}, {4096}};
  vector.used = {header_bytes() + 66, 4096, 0, 4096, 0, 808};
  Check(vector);
  // The end of what is used is a data buffer, and the longest header buffer
  // has hdr_buf_len.
  vector.buffers = {{256}, {257}, {256}, {256}, {9000}, {256}, {257}};
  vector.used = {header_bytes() + 66, 257, 0, 0, 9000 - 257};
  Check(vector);
}

// "L <= hds_thresh (0 = no threshold): no split."
TEST_P(SplitVectorsTest, ThresholdIsTheLengthOfTheLongestFrameLeftWhole) {
  const std::string frame = MakeFrame({.tcp_options = 12, .payload = 934});
  ASSERT_EQ(frame.size(), 1000u);
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    const bool queued = method == SplitMethod::kHeaderQueue;
    for (const uint32_t threshold :
         {0u, 65u, 999u, 1000u, 1001u, 0xffffffffu}) {
      SplitReceiver receiver(shape_);
      HeaderArea area(receiver.memory(), {.threshold = threshold});
      area.SetTail(1);
      if (queued) receiver.Attach(area.queue());
      receiver.Set({.types = kSplitAllTypes,
                    // That of the header queue alone counts.
                    .threshold = queued ? 1000 - threshold : threshold,
                    .method = queued ? SplitMethod::kChain : method,
                    .header_buffer_bytes = 256});
      for (const Sizes& sizes : UsualBuffers()) {
        ASSERT_TRUE(receiver.Offer(sizes));
      }
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_FALSE(used.empty());
      EXPECT_EQ(FlagsOf(used[0].data), threshold < 1000 ? 0x80 : 0);
      EXPECT_EQ(receiver.split().unsplit_not_eligible.value(),
                threshold < 1000 ? 0u : 1u);
    }
  }
}

// One type at a time.
TEST_P(SplitVectorsTest, TypesThatAreNotEnabledAreLeftWhole) {
  for (const SplitMethod method : kMethods) {
    SetMethod(method);
    const bool queued = method == SplitMethod::kHeaderQueue;
    for (uint32_t kind = 0; kind < 4; ++kind) {
      const std::string frame = MakeFrame(
          {.ipv6 = (kind & 1) != 0, .udp = (kind & 2) != 0, .payload = 900});
      for (uint32_t type = 0; type < 4; ++type) {
        SplitReceiver receiver(shape_);
        HeaderArea area(receiver.memory(), {.types = uint64_t{1} << type});
        area.SetTail(1);
        if (queued) {
          receiver.Attach(area.queue());
        } else {
          receiver.Set({.types = uint64_t{1} << type,
                        .method = method,
                        .header_buffer_bytes = 256});
        }
        for (const Sizes& sizes : UsualBuffers()) {
          ASSERT_TRUE(receiver.Offer(sizes));
        }
        receiver.Give(WithNetHeader(frame));
        receiver.Drain();
        const std::vector<FakeDriver::Used> used = receiver.Collect();
        ASSERT_FALSE(used.empty());
        EXPECT_EQ(FlagsOf(used[0].data), type == kind ? 0x80 : 0);
      }
    }
  }
}

std::vector<SplitShape> Shapes() {
  std::vector<SplitShape> shapes;
  for (const SplitShape& shape : EveryShape()) {
    if (!shape.mergeable) shapes.push_back(shape);
  }
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(All, SplitVectorsTest, testing::ValuesIn(Shapes()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace annulus::virtio
