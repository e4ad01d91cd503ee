// The class HDR_BUF_QUEUE.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "devices/virtio/net/control/command_fixture.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint8_t kClass = 0x81;

// The data of CREATE, legal as they are.
struct CreateData {
  uint16_t id = 3;
  uint16_t buf_size = 128;
  uint16_t log_entries = 8;
  uint16_t flags = 0;
  uint64_t buf_base = 0x10000;
  uint64_t tail_addr = 0x8000;
  uint64_t types = kSplitAllTypes;
  uint32_t threshold = 0;
  uint32_t reserved = 0;

  FrameBytes Encode() const {
    return Joined({Little16(id), Little16(buf_size), Little16(log_entries),
                   Little16(flags), Little64(buf_base), Little64(tail_addr),
                   Little64(types), Little32(threshold), Little32(reserved)});
  }
};

FrameBytes AttachData(uint16_t vq, uint16_t id) {
  return Joined({Little16(vq), Little16(id)});
}

class HeaderQueueCommandsTest : public CommandFixture {
 protected:
  bool Create(const CreateData& data) {
    return Succeeds(kClass, kHeaderQueueCreate, data.Encode());
  }
  bool Attach(uint16_t vq, uint16_t id) {
    return Succeeds(kClass, kHeaderQueueAttach, AttachData(vq, id));
  }
  bool Destroy(uint16_t id) {
    return Succeeds(kClass, kHeaderQueueDestroy, Little16(id));
  }
  void ExpectCreateRefused(const CreateData& data) {
    ExpectRefused(kClass, kHeaderQueueCreate, data.Encode());
  }
  void ExpectAttachRefused(uint16_t vq, uint16_t id) {
    ExpectRefused(kClass, kHeaderQueueAttach, AttachData(vq, id));
  }
  void ExpectDestroyRefused(uint16_t id) {
    ExpectRefused(kClass, kHeaderQueueDestroy, Little16(id));
  }
  const HeaderQueues& queues() const { return settings_.header_queues; }
};

TEST_F(HeaderQueueCommandsTest, ThereIsNoneAtFirst) {
  EXPECT_EQ(queues(), HeaderQueues());
}

TEST_F(HeaderQueueCommandsTest, CapabilitiesAreThoseOfTheDefinition) {
  const ControlReply reply = Execute(kClass, kHeaderQueueCapGet, {});
  ASSERT_TRUE(reply.ok);
  EXPECT_FALSE(reply.settings_changed);
  const FrameBytes expected =
      Joined({Little16(16), Little16(64), Little16(1024), Little16(15),
              Little64(15), Little32(0), Little32(0)});
  EXPECT_EQ(
      FrameBytes(reply.result.bytes().begin(), reply.result.bytes().end()),
      expected);
  EXPECT_EQ(expected.size(), kHeaderQueueCapBytes);
}

TEST_F(HeaderQueueCommandsTest, CapabilitiesNeedRoom) {
  result_room_ = kHeaderQueueCapBytes - 1;
  ExpectRefused(kClass, kHeaderQueueCapGet, {});
  result_room_ = kHeaderQueueCapBytes;
  EXPECT_TRUE(Succeeds(kClass, kHeaderQueueCapGet, {}));
}

TEST_F(HeaderQueueCommandsTest, CreatedQueueIsAsTheDriverSaid) {
  ASSERT_TRUE(Create({.id = 15,
                      .buf_size = 192,
                      .log_entries = 4,
                      .buf_base = 0x12340,
                      .tail_addr = 0x8002,
                      .types = kSplitUdp4,
                      .threshold = 700}));
  ASSERT_NE(queues().by_id[15], nullptr);
  const HeaderQueueConfig& config = queues().by_id[15]->config();
  EXPECT_EQ(config.id, 15);
  EXPECT_EQ(config.slot_bytes, 192);
  EXPECT_EQ(config.log_slots, 4);
  EXPECT_EQ(config.base.value(), 0x12340u);
  EXPECT_EQ(config.tail.value(), 0x8002u);
  EXPECT_EQ(config.types, kSplitUdp4);
  EXPECT_EQ(config.threshold, 700u);
  // It is used where it is attached, and there is no other.
  EXPECT_EQ(queues().by_pair, HeaderQueues().by_pair);
  for (size_t id = 0; id < 15; ++id) EXPECT_EQ(queues().by_id[id], nullptr);
}

TEST_F(HeaderQueueCommandsTest, ReservedFieldMeansNothing) {
  EXPECT_TRUE(Create({.reserved = 0xffffffff}));
}

TEST_F(HeaderQueueCommandsTest, DataAndFeatureAreExact) {
  ExpectExactDataAndFeature(kClass, kHeaderQueueCapGet, {},
                            kHeaderQueueFeature);
  ExpectExactDataAndFeature(kClass, kHeaderQueueCreate, CreateData().Encode(),
                            kHeaderQueueFeature);
  ExpectExactDataAndFeature(kClass, kHeaderQueueAttach, AttachData(2, 3),
                            kHeaderQueueFeature);
  ExpectExactDataAndFeature(kClass, kHeaderQueueAttach, AttachData(2, 0xffff),
                            kHeaderQueueFeature);
  ExpectExactDataAndFeature(kClass, kHeaderQueueDestroy, Little16(3),
                            kHeaderQueueFeature);
}

TEST_F(HeaderQueueCommandsTest, UnknownCommandIsRefused) {
  for (const uint8_t command : {4, 5, 0x81, 0xff}) {
    ExpectRefused(kClass, command, {});
    ExpectRefused(kClass, command, CreateData().Encode());
  }
}

TEST_F(HeaderQueueCommandsTest, IdThatIsNoneIsRefused) {
  for (const uint16_t id : {16, 17, 0x103, 0xfffe, 0xffff}) {
    ExpectCreateRefused({.id = id});
    ExpectDestroyRefused(id);
  }
}

TEST_F(HeaderQueueCommandsTest, IdInUseIsRefused) {
  ASSERT_TRUE(Create({}));
  ExpectCreateRefused({});
  ExpectCreateRefused({.buf_base = 0x20000});
  EXPECT_TRUE(Create({.id = 4}));
}

TEST_F(HeaderQueueCommandsTest, FlagsAreRefused) {
  ExpectCreateRefused({.flags = 1});
  ExpectCreateRefused({.flags = 0x8000});
}

TEST_F(HeaderQueueCommandsTest, UnknownTypeIsRefused) {
  ExpectCreateRefused({.types = 16});
  ExpectCreateRefused({.types = uint64_t{1} << 40 | 1});
}

TEST_F(HeaderQueueCommandsTest, ThresholdOutsideOfTheBoundsIsRefused) {
  header_split_.min_threshold = 100;
  header_split_.max_threshold = 200;
  ExpectCreateRefused({.threshold = 99});
  ExpectCreateRefused({.threshold = 201});
  EXPECT_TRUE(Create({.id = 0, .threshold = 100}));
  EXPECT_TRUE(Create({.id = 1, .threshold = 200}));
}

TEST_F(HeaderQueueCommandsTest, SlotsOfIllegalSizeAreRefused) {
  for (const uint16_t size : {0, 1, 32, 63, 65, 96, 1025, 1088, 0xffc0}) {
    SCOPED_TRACE(size);
    ExpectCreateRefused({.buf_size = size});
  }
  EXPECT_TRUE(Create({.id = 0, .buf_size = 64}));
  EXPECT_TRUE(Create({.id = 1, .buf_size = 1024}));
}

TEST_F(HeaderQueueCommandsTest, TooManySlotsAreRefused) {
  ExpectCreateRefused({.buf_size = 64, .log_entries = 16});
  ExpectCreateRefused({.buf_size = 64, .log_entries = 64});
  ExpectCreateRefused({.buf_size = 64, .log_entries = 0xffff});
  EXPECT_TRUE(Create({.log_entries = 0}));
}

TEST_F(HeaderQueueCommandsTest, MisalignedAddressesAreRefused) {
  ExpectCreateRefused({.buf_base = 0x10001});
  ExpectCreateRefused({.buf_base = 0x10020});
  ExpectCreateRefused({.tail_addr = 0x8001});
}

TEST_F(HeaderQueueCommandsTest, MemoryOutsideOfRamIsRefused) {
  constexpr uint64_t kBytes = uint64_t{128} << 8;
  for (const uint64_t base :
       {kFixtureRamBytes, kFixtureRamBytes - 64, kFixtureRamBytes - kBytes + 64,
        uint64_t{1} << 40, ~uint64_t{0} - 63}) {
    SCOPED_TRACE(base);
    ExpectCreateRefused({.buf_base = base});
  }
  ExpectCreateRefused({.tail_addr = kFixtureRamBytes});
  ExpectCreateRefused({.tail_addr = ~uint64_t{1}});
  EXPECT_TRUE(Create({.buf_base = kFixtureRamBytes - kBytes,
                      .tail_addr = kFixtureRamBytes - 2}));
}

TEST_F(HeaderQueueCommandsTest, OneQueueMayServeSeveralReceiveQueues) {
  ASSERT_TRUE(Create({}));
  ASSERT_TRUE(Attach(0, 3));
  ASSERT_TRUE(Attach(6, 3));
  EXPECT_EQ(queues().by_pair[0], queues().by_id[3]);
  EXPECT_EQ(queues().by_pair[1], nullptr);
  EXPECT_EQ(queues().by_pair[3], queues().by_id[3]);
}

TEST_F(HeaderQueueCommandsTest, AnotherQueueTakesThePlaceOfTheFirst) {
  ASSERT_TRUE(Create({}));
  ASSERT_TRUE(Create({.id = 5}));
  ASSERT_TRUE(Attach(2, 3));
  ASSERT_TRUE(Attach(2, 5));
  EXPECT_EQ(queues().by_pair[1], queues().by_id[5]);
  EXPECT_TRUE(Destroy(3));
}

TEST_F(HeaderQueueCommandsTest, WhatIsNotAttachedCanBeDetached) {
  EXPECT_TRUE(Attach(0, kHeaderQueueNone));
  EXPECT_EQ(queues(), HeaderQueues());
}

TEST_F(HeaderQueueCommandsTest, QueueNeedNotBeEnabledToBeAttachedTo) {
  target_.enabled = {};
  ASSERT_TRUE(Create({}));
  EXPECT_TRUE(Attach(2, 3));
}

TEST_F(HeaderQueueCommandsTest, OnlyReceiveQueuesAreAttachedTo) {
  ASSERT_TRUE(Create({}));
  for (const uint16_t vq : {1, 3, 7, 8, 9, 10, 32, 64, 0xfffe, 0xffff}) {
    SCOPED_TRACE(vq);
    ExpectAttachRefused(vq, 3);
    ExpectAttachRefused(vq, kHeaderQueueNone);
  }
}

TEST_F(HeaderQueueCommandsTest, UnknownQueueIsNotAttached) {
  ASSERT_TRUE(Create({}));
  for (const uint16_t id : {0, 2, 15, 16, 0x103, 0xfffe}) {
    SCOPED_TRACE(id);
    ExpectAttachRefused(0, id);
  }
}

TEST_F(HeaderQueueCommandsTest, AttachedQueueIsNotDestroyed) {
  ASSERT_TRUE(Create({}));
  ASSERT_TRUE(Attach(0, 3));
  ASSERT_TRUE(Attach(4, 3));
  ExpectDestroyRefused(3);
  ASSERT_TRUE(Attach(0, kHeaderQueueNone));
  ExpectDestroyRefused(3);
  ASSERT_TRUE(Attach(4, kHeaderQueueNone));
  EXPECT_TRUE(Destroy(3));
  EXPECT_EQ(queues(), HeaderQueues());
}

TEST_F(HeaderQueueCommandsTest, UnknownQueueIsNotDestroyed) {
  ExpectDestroyRefused(3);
  ASSERT_TRUE(Create({}));
  ExpectDestroyRefused(2);
  ASSERT_TRUE(Destroy(3));
  ExpectDestroyRefused(3);
}

TEST_F(HeaderQueueCommandsTest, DestroyedQueueIsNotTheOneOfItsIdAfterwards) {
  ASSERT_TRUE(Create({}));
  const std::weak_ptr<HeaderQueue> first = queues().by_id[3];
  ASSERT_TRUE(Destroy(3));
  EXPECT_TRUE(first.expired());
  EXPECT_TRUE(Create({.types = kSplitTcp4}));
  EXPECT_EQ(queues().by_id[3]->config().types, kSplitTcp4);
}

TEST_F(HeaderQueueCommandsTest, ThereAreSoManyAsThereAreIds) {
  for (uint16_t id = 0; id < HeaderQueues::kMaxQueues; ++id) {
    EXPECT_TRUE(Create({.id = id}));
  }
  for (uint16_t id = 0; id < 300; ++id) ExpectCreateRefused({.id = id});
}

TEST_F(HeaderQueueCommandsTest, NumbersAreThoseOfTheConfiguration) {
  header_split_.numbers.header_queue_class = 0x20;
  header_split_.numbers.header_queue_feature = 63;
  ExpectCreateRefused({});
  ExpectRefused(0x20, kHeaderQueueCreate, CreateData().Encode());
  features_.Add(63);
  EXPECT_TRUE(Succeeds(0x20, kHeaderQueueCreate, CreateData().Encode()));
}

}  // namespace
}  // namespace annulus::virtio
