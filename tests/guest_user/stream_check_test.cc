#include "tests/guest_user/stream_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/spec/net.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/guest_user/stream.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {
namespace {

using testing::HasSubstr;

constexpr MacAddress kCard = {2, 3, 4, 5, 6, 7};
constexpr size_t kPage = 4096;

// A packet as a receiver has it, made of a stream's own frame.
class Packet {
 public:
  Packet(const StreamSpec& spec, uint64_t sequence, bool split) {
    const uint32_t header = HeaderBytes(spec);
    const uint32_t payload = PayloadBytes(spec, sequence);
    WriteStreamHeader(spec, sequence, kCard, header_.data());
    uint8_t* at = pages_;
    if (split) {
      packet.split = true;
      packet.header = header_.data();
      packet.header_bytes = header;
    } else {
      std::memcpy(at, header_.data(), header);
      at += header;
    }
    FillPayload(spec, sequence, {at, payload});
    packet.bytes = static_cast<uint32_t>(at - pages_) + payload;
    for (uint32_t done = 0; done < packet.bytes; done += kPage) {
      virtio::PacketPart& part = packet.parts[packet.part_count++];
      part.data = pages_ + done;
      part.bytes = std::min<uint32_t>(kPage, packet.bytes - done);
    }
    if (KindOf(spec, sequence) == FrameKind::kGso) {
      packet.net_header.gso_type = virtio::kNetGsoTcpv4;
    }
  }

  uint8_t* payload() { return pages_; }
  uint8_t* header() { return header_.data(); }

  virtio::ReceivedPacket packet;

 private:
  std::array<uint8_t, kMaxStreamHeaderBytes> header_ = {};
  alignas(kPage) uint8_t pages_[17 * kPage] = {};
};

TEST(StreamCheckTest, AcceptsWhatWasSent) {
  for (StreamProtocol protocol :
       {StreamProtocol::kTcp4, StreamProtocol::kTcp6, StreamProtocol::kUdp4,
        StreamProtocol::kUdp6}) {
    const StreamSpec spec = {.protocol = protocol, .frames = 5};
    StreamCheck check(spec, kCard);
    for (uint64_t i = 0; i < spec.frames; ++i) {
      EXPECT_FALSE(check.complete());
      EXPECT_TRUE(check.Check(Packet(spec, i, i != 3).packet)) << check.error();
    }
    EXPECT_TRUE(check.complete());
    EXPECT_EQ(check.counts().split, 4);
    EXPECT_EQ(check.counts().unsplit, 1);
    EXPECT_EQ(check.counts().aligned_pages, 4);
    EXPECT_EQ(check.counts().payload_bytes, 5 * 4096);
  }
}

TEST(StreamCheckTest, KnowsWhichFramesAreNotSplit) {
  const StreamSpec spec = {.frames = 16, .gso = true, .mixed = true};
  StreamCheck check(spec, kCard);
  for (uint64_t i = 0; i < spec.frames; ++i) {
    const bool split = i != 7 && i != 11;
    if (!split) {
      StreamCheck wrong = check;
      Packet packet(spec, i, true);
      EXPECT_FALSE(wrong.Check(packet.packet));
      EXPECT_THAT(wrong.error(), HasSubstr("must not be split"));
    }
    EXPECT_TRUE(check.Check(Packet(spec, i, split).packet)) << check.error();
  }
  EXPECT_EQ(check.counts().split, 14);
  EXPECT_EQ(check.counts().unsplit, 0);
  EXPECT_EQ(check.counts().pure_acks, 1);
  EXPECT_EQ(check.counts().fragments, 1);
  EXPECT_EQ(check.counts().gso, 4);
  EXPECT_EQ(check.counts().aligned_pages, 10 + 4 * 16);
}

TEST(StreamCheckTest, CountsOtherFramesAlone) {
  const StreamSpec spec = {.frames = 1};
  StreamCheck check(spec, kCard);
  Packet other({.protocol = StreamProtocol::kUdp4}, 0, false);
  EXPECT_TRUE(check.Check(other.packet));
  EXPECT_EQ(check.counts().other_frames, 1);
  EXPECT_EQ(check.counts().frames, 0);
}

struct Damage {
  const char* name;
  const char* error;
  std::function<void(Packet&)> damage;
};

class DamageTest : public testing::TestWithParam<Damage> {};

TEST_P(DamageTest, IsFound) {
  const StreamSpec spec = {.frames = 3};
  StreamCheck check(spec, kCard);
  ASSERT_TRUE(check.Check(Packet(spec, 0, true).packet));
  Packet packet(spec, 1, true);
  GetParam().damage(packet);
  EXPECT_FALSE(check.Check(packet.packet));
  EXPECT_THAT(check.error(), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, DamageTest,
    testing::Values(
        Damage{"first_byte", "payload is wrong",
               [](Packet& p) { p.payload()[0] ^= 1; }},
        Damage{"last_byte", "payload is wrong",
               [](Packet& p) { p.payload()[4095] ^= 0x80; }},
        Damage{"header", "the header is", [](Packet& p) { p.header()[60]++; }},
        Damage{"short_header", "split after 65",
               [](Packet& p) { p.packet.header_bytes = 65; }},
        Damage{"short_payload", "4095 bytes of payload",
               [](Packet& p) { p.packet.bytes = --p.packet.parts[0].bytes; }},
        Damage{"checksum_elsewhere", "checksum elsewhere",
               [](Packet& p) {
                 p.packet.net_header.flags = virtio::kNetHeaderNeedsCsum;
                 p.packet.net_header.csum_start = 33;
                 p.packet.net_header.csum_offset = 16;
               }},
        Damage{"gso_type", "gso_type 4",
               [](Packet& p) {
                 p.packet.net_header.gso_type = virtio::kNetGsoTcpv6;
               }}),
    [](const auto& info) { return info.param.name; });

TEST(StreamCheckTest, LostFrameIsFound) {
  const StreamSpec spec = {.frames = 3};
  StreamCheck check(spec, kCard);
  EXPECT_FALSE(check.Check(Packet(spec, 1, true).packet));
  EXPECT_THAT(check.error(), HasSubstr("the header is"));
}

TEST(StreamCheckTest, FrameAfterTheLastIsFound) {
  const StreamSpec spec = {.frames = 1};
  StreamCheck check(spec, kCard);
  EXPECT_TRUE(check.Check(Packet(spec, 0, true).packet));
  EXPECT_FALSE(check.Check(Packet(spec, 0, true).packet));
}

TEST(StreamCheckTest, PayloadThatDoesNotBeginAPageIsCounted) {
  const StreamSpec spec = {.frames = 1, .payload_bytes = 100};
  StreamCheck check(spec, kCard);
  Packet packet(spec, 0, true);
  std::memmove(packet.payload() + 16, packet.payload(), 100);
  packet.packet.parts[0].data += 16;
  EXPECT_TRUE(check.Check(packet.packet)) << check.error();
  EXPECT_EQ(check.counts().aligned_pages, 0);
  EXPECT_EQ(check.counts().misaligned_pieces, 1);
}

}  // namespace
}  // namespace annulus::guest_user
