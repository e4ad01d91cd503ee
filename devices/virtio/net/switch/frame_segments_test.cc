#include "devices/virtio/net/switch/frame_segments.h"

#include <cstdint>
#include <random>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Bytes = std::vector<uint8_t>;

// RFC 1071, as slowly as it is written there.
uint16_t Sum(absl::Span<const uint8_t> bytes, uint32_t sum = 0) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : bytes[i];
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return static_cast<uint16_t>(sum);
}

uint32_t Number(const Bytes& frame, size_t at, size_t bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number = number << 8 | frame[at + i];
  return number;
}

void Put(Bytes& frame, size_t at, uint32_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    frame[at + i] = static_cast<uint8_t>(value >> 8 * (bytes - 1 - i));
  }
}

struct Shape {
  bool ipv4 = true;
  bool tcp = true;
  size_t tags = 0;
  size_t options = 0;  // Bytes of TCP options.
};

size_t Network(const Shape& shape) { return 14 + 4 * shape.tags; }
size_t Transport(const Shape& shape) {
  return Network(shape) + (shape.ipv4 ? 20 : 40);
}
size_t Payload(const Shape& shape) {
  return Transport(shape) + (shape.tcp ? 20 + shape.options : 8);
}

// Of the pseudo header.
uint16_t PseudoSum(const Shape& shape, const Bytes& frame) {
  const size_t addresses = Network(shape) + (shape.ipv4 ? 12 : 8);
  const size_t size = shape.ipv4 ? 8 : 32;
  const uint32_t length =
      static_cast<uint32_t>(frame.size() - Transport(shape));
  Bytes pseudo(frame.begin() + static_cast<ptrdiff_t>(addresses),
               frame.begin() + static_cast<ptrdiff_t>(addresses + size));
  pseudo.resize(size + 8);
  Put(pseudo, size, length, 4);
  Put(pseudo, size + 4, shape.tcp ? 6 : 17, 4);
  return Sum(pseudo);
}

size_t ChecksumAt(const Shape& shape) {
  return Transport(shape) + (shape.tcp ? 16 : 6);
}

// As a driver gives it: lengths of the whole, and the checksum begun.
Bytes MakeFrame(const Shape& shape, size_t payload) {
  Bytes frame(Payload(shape) + payload);
  std::minstd_rand random(static_cast<unsigned>(payload) + 1);
  for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
  for (size_t i = 0; i < shape.tags; ++i) Put(frame, 12 + 4 * i, 0x8100, 2);
  const size_t network = Network(shape);
  Put(frame, network - 2, shape.ipv4 ? 0x0800 : 0x86dd, 2);
  const uint32_t bytes = static_cast<uint32_t>(frame.size() - network);
  if (shape.ipv4) {
    frame[network] = 0x45;
    Put(frame, network + 2, bytes & 0xffff, 2);
    frame[network + 9] = shape.tcp ? 6 : 17;
  } else {
    frame[network] = 0x60;
    Put(frame, network + 4, (bytes - 40) & 0xffff, 2);
    frame[network + 6] = shape.tcp ? 6 : 17;
  }
  if (shape.tcp) {
    frame[Transport(shape) + 12] =
        static_cast<uint8_t>((20 + shape.options) / 4 << 4);
    frame[Transport(shape) + 13] = 0xff;
  }
  Put(frame, ChecksumAt(shape), PseudoSum(shape, frame), 2);
  return frame;
}

NetHeader HeaderOf(const Shape& shape, uint16_t gso_size) {
  uint8_t type = kNetGsoUdpL4;
  if (shape.tcp) type = shape.ipv4 ? kNetGsoTcpv4 : kNetGsoTcpv6;
  return {.flags = kNetHeaderNeedsCsum,
          .gso_type = type,
          .gso_size = gso_size,
          .csum_start = static_cast<uint16_t>(Transport(shape)),
          .csum_offset = static_cast<uint16_t>(shape.tcp ? 16 : 6)};
}

void ExpectCorrect(const Shape& shape, const Bytes& frame) {
  if (shape.ipv4) {
    EXPECT_EQ(Sum(absl::MakeConstSpan(frame).subspan(Network(shape), 20)),
              0xffff)
        << "IPv4 header";
  }
  const absl::Span<const uint8_t> transport =
      absl::MakeConstSpan(frame).subspan(Transport(shape));
  EXPECT_EQ(Sum(transport, PseudoSum(shape, frame)), 0xffff);
}

class FrameSegmentsTest : public testing::TestWithParam<Shape> {};

TEST_P(FrameSegmentsTest, SegmentsAreTheFrameAndCorrect) {
  const Shape& shape = GetParam();
  for (const size_t payload : {1u, 1448u, 1449u, 2896u, 20001u, 65001u}) {
    const Bytes frame = MakeFrame(shape, payload);
    const auto segments = FrameSegments::Of(HeaderOf(shape, 1448), frame);
    ASSERT_TRUE(segments.has_value());
    ASSERT_EQ(segments->count(), (payload + 1447) / 1448);
    Bytes data;
    for (size_t i = 0; i < segments->count(); ++i) {
      Bytes segment(segments->bytes(i));
      segments->Write(i, segment.data());
      ExpectCorrect(shape, segment);
      const size_t network = Network(shape);
      const uint32_t bytes = static_cast<uint32_t>(segment.size() - network);
      if (shape.ipv4) {
        EXPECT_EQ(Number(segment, network + 2, 2), bytes);
        EXPECT_EQ(Number(segment, network + 4, 2),
                  (Number(frame, network + 4, 2) + i) & 0xffff);
      } else {
        EXPECT_EQ(Number(segment, network + 4, 2), bytes - 40);
      }
      const size_t at = Transport(shape);
      if (shape.tcp) {
        EXPECT_EQ(Number(segment, at + 4, 4),
                  Number(frame, at + 4, 4) + static_cast<uint32_t>(i * 1448));
        const bool last = i + 1 == segments->count();
        // Everything but CWR, FIN and PSH is in all of them.
        EXPECT_EQ(segment[at + 13],
                  0x76 | (i == 0 ? 0x80 : 0) | (last ? 0x09 : 0));
      } else {
        EXPECT_EQ(Number(segment, at + 4, 2), segment.size() - at);
      }
      data.insert(data.end(),
                  segment.begin() + static_cast<ptrdiff_t>(Payload(shape)),
                  segment.end());
    }
    EXPECT_EQ(data,
              Bytes(frame.begin() + static_cast<ptrdiff_t>(Payload(shape)),
                    frame.end()));
  }
}

TEST_P(FrameSegmentsTest, ChecksumAloneIsMade) {
  const Shape& shape = GetParam();
  for (const size_t payload : {0u, 1u, 2u, 3u, 4u, 1460u}) {
    Bytes frame = MakeFrame(shape, payload);
    CompleteChecksum(HeaderOf(shape, 0), absl::MakeSpan(frame));
    const absl::Span<const uint8_t> transport =
        absl::MakeConstSpan(frame).subspan(Transport(shape));
    EXPECT_EQ(Sum(transport, PseudoSum(shape, frame)), 0xffff);
  }
}

TEST_P(FrameSegmentsTest, FrameThatIsNotWhatItsHeaderSaysIsNone) {
  const Shape& shape = GetParam();
  const Bytes frame = MakeFrame(shape, 3000);
  const NetHeader header = HeaderOf(shape, 1448);
  ASSERT_TRUE(FrameSegments::Of(header, frame).has_value());
  // No shorter one, either.
  for (size_t bytes = 0; bytes <= Payload(shape); ++bytes) {
    EXPECT_FALSE(
        FrameSegments::Of(header, absl::MakeConstSpan(frame).first(bytes)))
        << bytes;
  }
  NetHeader wrong = header;
  wrong.csum_offset = 14;
  EXPECT_FALSE(FrameSegments::Of(wrong, frame));
  wrong = header;
  wrong.csum_start = static_cast<uint16_t>(Network(shape));
  EXPECT_FALSE(FrameSegments::Of(wrong, frame));
  wrong = header;
  wrong.gso_size = 3;
  EXPECT_FALSE(FrameSegments::Of(wrong, frame)) << "too many";
  Bytes other = frame;
  Put(other, Network(shape) - 2, 0x0806, 2);
  EXPECT_FALSE(FrameSegments::Of(header, other)) << "ARP";
  if (shape.tcp) {
    wrong = header;
    wrong.gso_type = shape.ipv4 ? kNetGsoTcpv6 : kNetGsoTcpv4;
    EXPECT_FALSE(FrameSegments::Of(wrong, frame));
    other = frame;
    other[Transport(shape) + 12] = 0x40;
    EXPECT_FALSE(FrameSegments::Of(header, other)) << "header of 16 bytes";
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FrameSegmentsTest,
    testing::Values(Shape{}, Shape{.tags = 1}, Shape{.options = 12},
                    Shape{.ipv4 = false}, Shape{.ipv4 = false, .tags = 2},
                    Shape{.ipv4 = false, .options = 40}, Shape{.tcp = false},
                    Shape{.ipv4 = false, .tcp = false}));

}  // namespace
}  // namespace annulus::virtio
