// Random frames, built of the layers that matter and then damaged, against a
// second parser that was written for its simplicity: it has all of the frame,
// cuts each layer off the one around it, and knows no prefix.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "devices/virtio/net/header_split/split_frame.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// What is left of a frame, from the front. Reads behind the end give nullopt.
class Reader {
 public:
  explicit Reader(const FrameBytes& frame) : frame_(frame) {}
  size_t position() const { return position_; }
  size_t left() const { return frame_.size() - position_; }
  std::optional<uint32_t> Peek(size_t offset, size_t bytes) const {
    if (left() < offset + bytes) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value = value * 256 + frame_[position_ + offset + i];
    }
    return value;
  }
  bool Skip(size_t bytes) {
    if (left() < bytes) return false;
    position_ += bytes;
    return true;
  }

 private:
  const FrameBytes& frame_;
  size_t position_ = 0;
};

struct Expected {
  uint64_t type = 0;
  uint32_t header_bytes = 0;
};

// `rest` is at the transport header; `ip_left` of it belong to the packet.
Expected ExpectTransport(Reader rest, uint32_t protocol, size_t ip_left,
                         const NetHeader& header, bool ipv6) {
  const size_t start = rest.position();
  if (ip_left < rest.left()) return {};
  uint64_t type = 0;
  if (protocol == 6) {
    const std::optional<uint32_t> words = rest.Peek(12, 1);
    if (!words.has_value() || *words / 16 < 5) return {};
    if (!rest.Skip(*words / 16 * 4)) return {};
    type = ipv6 ? kSplitTcp6 : kSplitTcp4;
  } else if (protocol == 17) {
    if (!rest.Skip(8)) return {};
    type = ipv6 ? kSplitUdp6 : kSplitUdp4;
  } else {
    return {};
  }
  if (rest.left() == 0) return {};
  if (header.gso_type % 0x80 >= 0x20) return {};
  if (header.flags % 2 == 1 && header.csum_start != start) return {};
  return {type, static_cast<uint32_t>(rest.position())};
}

Expected ExpectIpv4(Reader rest, const NetHeader& header) {
  const std::optional<uint32_t> first = rest.Peek(0, 1);
  const std::optional<uint32_t> length = rest.Peek(2, 2);
  const std::optional<uint32_t> fragment = rest.Peek(6, 2);
  const std::optional<uint32_t> protocol = rest.Peek(9, 1);
  if (!protocol.has_value() || *first / 16 != 4) return {};
  const uint32_t header_bytes = *first % 16 * 4;
  if (header_bytes < 20 || *length < header_bytes) return {};
  if ((*fragment >> 13 & 1) == 1 || (*fragment & 0x1fff) != 0) return {};
  if (!rest.Skip(header_bytes)) return {};
  return ExpectTransport(rest, *protocol, *length - header_bytes, header,
                         /*ipv6=*/false);
}

Expected ExpectIpv6(Reader rest, const NetHeader& header) {
  const std::optional<uint32_t> version = rest.Peek(0, 1);
  const std::optional<uint32_t> length = rest.Peek(4, 2);
  std::optional<uint32_t> next = rest.Peek(6, 1);
  if (!next.has_value() || *version / 16 != 6) return {};
  if (!rest.Skip(40)) return {};
  int64_t ip_left = *length == 0 ? static_cast<int64_t>(rest.left())
                                 : static_cast<int64_t>(*length);
  int count = 0;
  while (*next == 0 || *next == 43 || *next == 60 || *next == 51) {
    if (++count == 9) return {};
    const std::optional<uint32_t> field = rest.Peek(1, 1);
    if (!field.has_value()) return {};
    const uint32_t bytes = *next == 51 ? *field * 4 + 8 : *field * 8 + 8;
    next = rest.Peek(0, 1);
    if (!rest.Skip(bytes)) return {};
    ip_left -= bytes;
  }
  if (ip_left < 0) return {};
  return ExpectTransport(rest, *next, static_cast<size_t>(ip_left), header,
                         /*ipv6=*/true);
}

Expected ExpectedOf(const FrameBytes& frame, const NetHeader& header) {
  Reader rest(frame);
  if (!rest.Skip(12)) return {};
  for (int tags = 0; tags < 3; ++tags) {
    const std::optional<uint32_t> type = rest.Peek(0, 2);
    if (!type.has_value()) return {};
    if (*type == 0x0800 || *type == 0x86dd) {
      rest.Skip(2);
      return *type == 0x0800 ? ExpectIpv4(rest, header)
                             : ExpectIpv6(rest, header);
    }
    if (*type != 0x8100 && *type != 0x88a8) return {};
    if (!rest.Skip(4)) return {};
  }
  return {};
}

class RandomFrames {
 public:
  explicit RandomFrames(uint32_t seed) : random_(seed) {}

  // True once in `n`.
  bool OneIn(uint32_t n) { return Below(n) == 0; }
  uint32_t Below(uint32_t limit) { return random_() % limit; }

  FrameBytes Next(NetHeader& header) {
    const bool ipv6 = OneIn(2);
    const uint8_t protocol = OneIn(2) ? kTypeTcp : kTypeUdp;
    const size_t payload_bytes = OneIn(8) ? 0 : Below(OneIn(10) ? 3000 : 40);
    FrameBytes packet =
        protocol == kTypeTcp
            ? Tcp(payload_bytes, OneIn(10) ? Below(16) : 5 + Below(11))
            : Udp(payload_bytes);
    const size_t transport_bytes = packet.size();
    packet = ipv6 ? MakeIpv6(protocol, packet) : MakeIpv4(protocol, packet);
    uint16_t type = ipv6 ? kTypeIpv6 : kTypeIpv4;
    const uint32_t tags = OneIn(3) ? Below(4) : 0;
    for (uint32_t i = 0; i < tags; ++i) {
      packet = Vlan(static_cast<uint16_t>(Below(0x10000)), type, packet);
      type = OneIn(2) ? kTypeVlan : kTypeServiceVlan;
    }
    if (OneIn(40)) type = static_cast<uint16_t>(Below(0x10000));
    FrameBytes frame = Ethernet(type, packet);
    header = MakeHeader(frame.size() - transport_bytes);
    Damage(frame);
    return frame;
  }

 private:
  FrameBytes MakeIpv4(uint8_t protocol, const FrameBytes& payload) {
    const uint16_t fragment =
        OneIn(10) ? static_cast<uint16_t>(1 << Below(16)) : 0;
    FrameBytes packet =
        SplitIpv4(protocol, payload, fragment, FrameBytes(4 * Below(11), 1));
    if (OneIn(20)) packet[3] ^= static_cast<uint8_t>(1 << Below(8));
    return packet;
  }

  FrameBytes MakeIpv6(uint8_t protocol, const FrameBytes& payload) {
    constexpr uint8_t kKinds[] = {0, 43, 60, 51, 60, 43, 60, 51, 44, 50, 135};
    FrameBytes packet = payload;
    uint8_t next = protocol;
    const uint32_t count = OneIn(2) ? 0 : Below(11);
    for (uint32_t i = 0; i < count; ++i) {
      const uint8_t kind = kKinds[Below(OneIn(10) ? 11 : 8)];
      const size_t bytes = OneIn(30) && kind != 51 ? 2048
                           : kind == 51            ? 8 + 4 * Below(6)
                                                   : 8 + 8 * Below(4);
      packet = Extension(kind, next, bytes, packet);
      next = kind;
    }
    packet = SplitIpv6(next, packet);
    if (OneIn(10)) packet[4] = packet[5] = 0;
    if (OneIn(20)) packet[5] ^= static_cast<uint8_t>(1 << Below(8));
    return packet;
  }

  NetHeader MakeHeader(size_t transport_offset) {
    NetHeader header;
    if (OneIn(2)) return header;
    header.flags = static_cast<uint8_t>(OneIn(5) ? 2 : 1);
    header.csum_start = static_cast<uint16_t>(OneIn(8) ? transport_offset + 4
                                                       : transport_offset);
    constexpr uint8_t kTypes[] = {0, 1, 4, 5, 0x81, 0x21, 0x44, 0x60};
    header.gso_type = kTypes[Below(OneIn(4) ? 8 : 5)];
    return header;
  }

  void Damage(FrameBytes& frame) {
    if (OneIn(6)) frame.resize(Below(static_cast<uint32_t>(frame.size()) + 1));
    if (OneIn(15)) frame.resize(frame.size() + 1 + Below(20));
    for (uint32_t hits = OneIn(6) ? 1 + Below(3) : 0; hits > 0; --hits) {
      if (frame.empty()) return;
      const uint32_t until = std::min<uint32_t>(
          OneIn(2) ? 80 : 3000, static_cast<uint32_t>(frame.size()));
      frame[Below(until)] = static_cast<uint8_t>(Below(256));
    }
  }

  std::mt19937 random_;
};

class SplitPointPropertyTest : public testing::TestWithParam<uint32_t> {};

TEST_P(SplitPointPropertyTest, AgreesWithASlowParser) {
  RandomFrames frames(GetParam());
  int split = 0;
  int deep = 0;
  int short_prefixes = 0;
  constexpr int kFrames = 10'000;
  for (int i = 0; i < kFrames; ++i) {
    NetHeader header;
    const FrameBytes frame = frames.Next(header);
    const Expected expected = ExpectedOf(frame, header);
    const uint32_t frame_bytes = static_cast<uint32_t>(frame.size());
    SplitPoint whole;
    ASSERT_TRUE(FindSplitPoint(frame, frame_bytes, header, whole));
    ASSERT_EQ(whole.type, expected.type) << "frame " << i;
    ASSERT_EQ(whole.header_bytes, expected.header_bytes) << "frame " << i;
    if (whole.type != 0) ++split;
    if (whole.header_bytes > kUsualSplitHeaderBytes) ++deep;
    // Any prefix: the same, or that it does not reach.
    const size_t cuts[] = {frames.Below(frame_bytes + 1),
                           frames.Below(frame_bytes + 1),
                           std::min<size_t>(frame_bytes, 128)};
    for (const size_t bytes : cuts) {
      const FrameBytes prefix(frame.begin(),
                              frame.begin() + static_cast<int64_t>(bytes));
      SplitPoint point;
      if (FindSplitPoint(prefix, frame_bytes, header, point)) {
        ASSERT_EQ(point, whole) << "frame " << i << ", prefix " << bytes;
        ASSERT_GE(bytes, point.header_bytes);
      } else {
        ++short_prefixes;
        ASSERT_LT(bytes, std::min<size_t>(frame_bytes, kMaxSplitHeaderBytes));
        ASSERT_TRUE(whole.type == 0 || bytes < whole.header_bytes);
      }
    }
  }
  // The frames are worth looking at.
  EXPECT_GT(split, kFrames / 10);
  EXPECT_LT(split, kFrames * 9 / 10);
  EXPECT_GT(deep, kFrames / 100);
  EXPECT_GT(short_prefixes, kFrames / 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SplitPointPropertyTest, testing::Range(1u, 5u));

}  // namespace
}  // namespace annulus::virtio
