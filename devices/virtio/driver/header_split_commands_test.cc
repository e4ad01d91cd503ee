#include "devices/virtio/driver/header_split_commands.h"

#include <cstdint>
#include <vector>

#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Bytes = std::vector<uint8_t>;

template <uint32_t kData>
Bytes Of(const NetCommand<kData>& command) {
  return Bytes(command.bytes, command.bytes + command.kBytes);
}

constexpr HeaderSplitNumbers kNumbers;

TEST(HeaderSplitCommandsTest, Set) {
  EXPECT_EQ(Of(SplitSetCommand(kNumbers, kSplitTcp4 | kSplitUdp6)),
            Bytes({0x80, 0, 9, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(HeaderSplitCommandsTest, Set2) {
  EXPECT_EQ(Of(SplitSet2Command(kNumbers, {.types = 0xf,
                                           .threshold = 0x12345678,
                                           .mode = kSplitModeSmallBuffers,
                                           .header_buffer_bytes = 256})),
            Bytes({0x80, 1, 0xf, 0, 0, 0, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 3,
                   0, 0, 1}));
}

TEST(HeaderSplitCommandsTest, HeaderQueueCreate) {
  EXPECT_EQ(Of(HeaderQueueCreateCommand(kNumbers, {.id = 2,
                                                   .slot_bytes = 128,
                                                   .log_slots = 8,
                                                   .base = 0x0102030405060708,
                                                   .tail = 0x1112131415161718,
                                                   .types = 1,
                                                   .threshold = 0x100})),
            Bytes({0x81, 1,    2,    0,    128, 0, 8, 0,    0,    0,    8,
                   7,    6,    5,    4,    3,   2, 1, 0x18, 0x17, 0x16, 0x15,
                   0x14, 0x13, 0x12, 0x11, 1,   0, 0, 0,    0,    0,    0,
                   0,    0,    1,    0,    0,   0, 0, 0,    0}));
}

TEST(HeaderSplitCommandsTest, TheOthers) {
  EXPECT_EQ(Of(HeaderQueueAttachCommand(kNumbers, 2, kHeaderQueueNone)),
            Bytes({0x81, 2, 2, 0, 0xff, 0xff}));
  EXPECT_EQ(Of(HeaderQueueDestroyCommand(kNumbers, 7)), Bytes({0x81, 3, 7, 0}));
  EXPECT_EQ(Of(SplitCapGetCommand(kNumbers)), Bytes({0x80, 2}));
  EXPECT_EQ(Of(HeaderQueueCapGetCommand(kNumbers)), Bytes({0x81, 0}));
  HeaderSplitNumbers others;
  others.split_class = 0x90;
  others.header_queue_class = 0x91;
  EXPECT_EQ(Of(SplitCapGetCommand(others)), Bytes({0x90, 2}));
  EXPECT_EQ(Of(HeaderQueueCapGetCommand(others)), Bytes({0x91, 0}));
}

TEST(HeaderSplitCommandsTest, Capabilities) {
  const uint8_t split[kSplitCapBytes] = {0xf, 0, 0, 0, 0,    0,    0, 0,
                                         5,   0, 0, 0, 0x7a, 0x40, 0, 0};
  EXPECT_EQ(DecodeSplitCapabilities(split).types, 0xfu);
  EXPECT_EQ(DecodeSplitCapabilities(split).modes, 5u);
  EXPECT_EQ(DecodeSplitCapabilities(split).max_header, 16506u);
  const uint8_t queue[kHeaderQueueCapBytes] = {16, 0, 64, 0, 0, 4, 15, 0,
                                               3,  0, 0,  0, 0, 0, 0,  0,
                                               9,  0, 0,  0, 0, 0, 0,  0};
  const HeaderQueueCapabilities decoded = DecodeHeaderQueueCapabilities(queue);
  EXPECT_EQ(decoded.max_queues, 16);
  EXPECT_EQ(decoded.min_slot_bytes, 64);
  EXPECT_EQ(decoded.max_slot_bytes, 1024);
  EXPECT_EQ(decoded.max_log_slots, 15);
  EXPECT_EQ(decoded.types, 3u);
  EXPECT_EQ(decoded.flags, 9u);
}

}  // namespace
}  // namespace annulus::virtio
