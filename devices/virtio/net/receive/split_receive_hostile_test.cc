// Header-split receive with drivers that do as they like, and settings that
// change while frames are under way: see docs/header_split.md.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

using Sizes = std::vector<uint32_t>;

constexpr size_t kHead = 66;  // Of the frames here.

std::string Frame(size_t payload, uint32_t seed = 1) {
  return MakeFrame({.tcp_options = 12, .payload = payload, .seed = seed});
}

SplitSettings Settings(SplitMethod method) {
  return {
      .types = kSplitAllTypes, .method = method, .header_buffer_bytes = 256};
}

class SplitHostileTest : public testing::TestWithParam<SplitShape> {
 protected:
  static SplitShape Shape(bool mergeable, bool header_queue) {
    SplitShape shape = GetParam();
    shape.mergeable = mergeable;
    shape.header_queue = header_queue;
    return shape;
  }

  static void Offer(SplitReceiver& receiver,
                    const std::vector<Sizes>& buffers) {
    for (const Sizes& sizes : buffers) ASSERT_TRUE(receiver.Offer(sizes));
  }

  static Sizes LensOf(const std::vector<FakeDriver::Used>& used) {
    Sizes lens;
    for (const FakeDriver::Used& one : used) lens.push_back(one.len);
    return lens;
  }

  static std::string Together(const std::vector<FakeDriver::Used>& used) {
    std::string bytes;
    for (const FakeDriver::Used& one : used) bytes += one.data;
    return bytes;
  }

  // A frame that is delivered as it came.
  static void ExpectUnsplit(SplitReceiver& receiver, const std::string& frame) {
    const std::vector<FakeDriver::Used> used = receiver.Collect();
    ASSERT_FALSE(used.empty());
    EXPECT_EQ(FlagsOf(used[0].data), 0);
    EXPECT_EQ(Together(used).substr(receiver.header_bytes()), frame);
  }
};

// bad_inputs 31 has the same of frames that are not split.
TEST_P(SplitHostileTest, TailThatMovesBackEndsSplitting) {
  for (const bool mergeable : {false, true}) {
    SplitReceiver receiver(Shape(mergeable, true));
    HeaderArea area(receiver.memory(), {.log_slots = 3});
    receiver.Attach(area.queue());
    area.SetTail(8);
    for (int i = 0; i < 4; ++i) {
      Offer(receiver, {{8192}});
      receiver.Give(WithNetHeader(Frame(1000)));
    }
    receiver.Drain();
    EXPECT_EQ(receiver.Collect().size(), 4u);
    EXPECT_EQ(receiver.split().split_packets.value(), 4u);
    area.SetTail(3);  // Below the head, which is 4.
    const std::string slots = area.All();
    Offer(receiver, {{8192}});
    receiver.Give(WithNetHeader(Frame(1000)));
    receiver.Drain();
    ExpectUnsplit(receiver, Frame(1000));
    EXPECT_EQ(receiver.split().header_queue_errors.value(), 1u);
    area.SetTail(8);
    Offer(receiver, {{8192}});
    receiver.Give(WithNetHeader(Frame(1000)));
    receiver.Drain();
    ExpectUnsplit(receiver, Frame(1000));
    EXPECT_EQ(receiver.split().header_queue_errors.value(), 1u);
    EXPECT_EQ(area.All(), slots);
    // A new one is as good as ever.
    HeaderArea other(receiver.memory(), {.id = 1});
    other.SetTail(1);
    receiver.Attach(other.queue());
    Offer(receiver, {{8192}});
    receiver.Give(WithNetHeader(Frame(1000)));
    receiver.Drain();
    EXPECT_EQ(receiver.split().split_packets.value(), 5u);
    EXPECT_EQ(other.Slot(0).substr(0, kHead), Frame(1000).substr(0, kHead));
  }
}

// Indices run past 65535, and each slot is used in its turn.
TEST_P(SplitHostileTest, IndicesRunFreely) {
  SplitReceiver receiver(Shape(true, true));
  HeaderArea area(receiver.memory(), {.log_slots = 2});
  receiver.Attach(area.queue());
  const size_t index_at = receiver.header_bytes() - 8;
  // Another receive queue has taken nearly all that there were.
  HeaderSlots other = *HeaderSlots::Map(*area.queue(), receiver.memory());
  constexpr uint16_t kFirst = 0xfff6;
  bool claimed = true;
  for (uint16_t i = 0; i < kFirst; ++i) {
    if (i % 4 == 0) area.SetTail(static_cast<uint16_t>(i + 4));
    claimed = claimed && other.ClaimSlot().index == i;
  }
  ASSERT_TRUE(claimed);
  uint16_t index = kFirst;
  for (int i = 0; i < 6; ++i) {
    area.SetTail(static_cast<uint16_t>(index + 4));
    for (uint32_t n = 0; n < 4; ++n) {
      Offer(receiver, {{256}});
      receiver.Give(WithNetHeader(Frame(1, static_cast<uint16_t>(index + n))));
    }
    receiver.Drain();
    const std::vector<FakeDriver::Used> used = receiver.Collect();
    ASSERT_EQ(used.size(), 4u);
    for (const FakeDriver::Used& one : used) {
      ASSERT_EQ(FlagsOf(one.data), 0x80);
      ASSERT_EQ(Field16(one.data, index_at), index);
      ASSERT_EQ(area.Slot(index).substr(0, kHead) +
                    one.data.substr(receiver.header_bytes()),
                Frame(1, index));
      ++index;
    }
  }
  // None is left.
  Offer(receiver, {{256}});
  receiver.Give(WithNetHeader(Frame(1)));
  receiver.Drain();
  ExpectUnsplit(receiver, Frame(1));
  EXPECT_EQ(receiver.split().unsplit_no_slot.value(), 1u);
}

TEST_P(SplitHostileTest, HeaderQueueOutsideOfTheQueuesMemoryHasNoSlots) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 32 << 20}).value();
  const memory::GuestMemory larger =
      memory::GuestMemory::Create(ram.Regions()).value();
  for (const bool mergeable : {false, true}) {
    SplitReceiver receiver(Shape(mergeable, true));
    // Behind its end, and the tail alone there.
    for (const uint64_t base :
         {uint64_t{17} << 20, (uint64_t{16} << 20) - 2048}) {
      HeaderArea area(larger, {.base = memory::GuestAddress(base)});
      area.SetTail(4);
      receiver.Attach(area.queue());
      const std::string slots = area.All();
      for (int i = 0; i < 5; ++i) {
        Offer(receiver, {{8192}});
        receiver.Give(WithNetHeader(Frame(1000)));
        receiver.Drain();
        ExpectUnsplit(receiver, Frame(1000));
      }
      EXPECT_EQ(area.All(), slots);
    }
    EXPECT_EQ(receiver.split().unsplit_no_slot.value(), 10u);
    EXPECT_TRUE(receiver.queue().ok());
  }
}

// A frame waits for buffers, and what was said of splitting is said anew.
TEST_P(SplitHostileTest, FrameThatWaitsIsSplitAsIsSaidWhenItIsDelivered) {
  const std::string frame = Frame(9000);
  for (const bool run : {false, true}) {
    for (int change = 0; change < 5; ++change) {
      SCOPED_TRACE(testing::Message() << "change " << change << run);
      SplitReceiver receiver(Shape(true, true));
      HeaderArea area(receiver.memory(), {});
      area.SetTail(16);
      receiver.Set(Settings(SplitMethod::kBuffers));
      const uint32_t header = receiver.header_bytes();
      // So that the frame is read to where it belongs, or is not.
      for (int i = 0; run && i < 5; ++i) {
        Offer(receiver, {{256}, {9000}});
        receiver.Give(WithNetHeader(frame));
        receiver.Drain();
        ASSERT_EQ(receiver.Collect().size(), 2u);
      }
      Offer(receiver, {{256}, {4096}});
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      ASSERT_TRUE(receiver.Collect().empty());
      Sizes lens;
      switch (change) {
        case 0:
          lens = {header + 66, 4096, 256, 4096, 9000 - 4096 - 256 - 4096};
          break;
        case 1:
          receiver.Set(Settings(SplitMethod::kSmallBuffers));
          lens = {header + 66, 4096, 0, 4096, 9000 - 2 * 4096};
          break;
        case 2:
          receiver.Set({});
          lens = {256, 4096, 256, 4096, header + 9066 - 2 * 4096 - 2 * 256};
          break;
        case 3:
          receiver.Attach(area.queue());
          lens = {256, 4096, 256, 4096, header + 9000 - 2 * 4096 - 2 * 256};
          break;
        default:
          receiver.Set({.types = kSplitUdp4, .method = SplitMethod::kBuffers});
          lens = {256, 4096, 256, 4096, header + 9066 - 2 * 4096 - 2 * 256};
          break;
      }
      Offer(receiver, {{256}, {4096}, {4096}});
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_EQ(LensOf(used), lens);
      const bool split = change == 0 || change == 1 || change == 3;
      EXPECT_EQ(FlagsOf(used[0].data), split ? 0x80 : 0);
      EXPECT_EQ(HdrLenOf(used[0].data), split ? kHead : 0);
      EXPECT_EQ(NumBuffersOf(used[0].data), used.size());
      const std::string bytes = Together(used).substr(header);
      if (change == 3) {
        EXPECT_EQ(area.Slot(0).substr(0, kHead) + bytes, frame);
      } else {
        EXPECT_EQ(bytes, frame);
      }
    }
  }
}

// The same of a frame that came before anything was to be split.
TEST_P(SplitHostileTest, FrameThatWaitsIsSplitOnceSplittingIsOn) {
  const std::string frame = Frame(9000);
  for (const bool was_on_before : {false, true}) {
    SplitReceiver receiver(Shape(true, true));
    const uint32_t header = receiver.header_bytes();
    if (was_on_before) receiver.Set(Settings(SplitMethod::kSmallBuffers));
    Offer(receiver, {{256}, {4096}});
    receiver.Give(WithNetHeader(frame));
    receiver.Drain();
    receiver.Set({});
    receiver.Drain();
    ASSERT_TRUE(receiver.Collect().empty());
    receiver.Set(Settings(SplitMethod::kBuffers));
    Offer(receiver, {{256}, {4096}, {4096}});
    receiver.Drain();
    const std::vector<FakeDriver::Used> used = receiver.Collect();
    ASSERT_EQ(LensOf(used),
              (Sizes{header + 66, 4096, 256, 4096, 9000 - 2 * 4096 - 256}));
    EXPECT_EQ(FlagsOf(used[0].data), 0x80);
    EXPECT_EQ(Together(used).substr(header), frame);
    EXPECT_EQ(receiver.split().split_packets.value(), 1u);
  }
}

// "The gap in d0 is not touched": so a frame whose buffer was written to before
// method A was chosen is not split by it.
TEST_P(SplitHostileTest, FrameThatWaitsKeepsTheHoldUntouched) {
  for (const bool queued : {false, true}) {
    SplitReceiver receiver(
        Shape(false, true),
        {.limit = {.frames_per_second = 20, .burst_frames = 1}});
    HeaderArea area(receiver.memory(), {});
    area.SetTail(16);
    if (queued) receiver.Attach(area.queue());
    for (uint32_t i = 0; i < 2; ++i) {
      Offer(receiver, {{512, 4096}});
      receiver.Give(WithNetHeader(Frame(1000, i)));
    }
    receiver.Drain();
    ASSERT_EQ(receiver.Collect().size(), 1u) << "the other waits";
    receiver.Attach(nullptr);
    receiver.Set(Settings(SplitMethod::kChain));
    std::vector<FakeDriver::Used> used;
    while (used.empty()) {
      receiver.Drain();
      used = receiver.Collect();
    }
    EXPECT_EQ(FlagsOf(used[0].data), 0);
    EXPECT_EQ(used[0].data.substr(receiver.header_bytes()), Frame(1000, 1));
  }
}

// "A header queue that was detached is not written to."
TEST_P(SplitHostileTest, FrameThatWaitsDoesNotUseADetachedHeaderQueue) {
  for (const bool run : {false, true}) {
    SplitReceiver receiver(Shape(true, true));
    HeaderArea area(receiver.memory(), {});
    area.SetTail(16);
    receiver.Attach(area.queue());
    for (int i = 0; run && i < 5; ++i) {
      Offer(receiver, {{9100}});
      receiver.Give(WithNetHeader(Frame(9000)));
      receiver.Drain();
      ASSERT_EQ(receiver.Collect().size(), 1u);
    }
    Offer(receiver, {{4096}});
    receiver.Give(WithNetHeader(Frame(9000)));
    receiver.Drain();
    ASSERT_TRUE(receiver.Collect().empty());
    const std::string slots = area.All();
    receiver.Attach(nullptr);
    Offer(receiver, {{4096}, {4096}});
    receiver.Drain();
    ExpectUnsplit(receiver, Frame(9000));
    EXPECT_EQ(area.All(), slots);
    EXPECT_EQ(area.queue().use_count(), 2) << "the area's and the settings' id";
  }
}

// Nothing is claimed for a frame that only waits.
TEST_P(SplitHostileTest, FrameThatWaitsClaimsOneSlot) {
  SplitReceiver receiver(Shape(true, true));
  HeaderArea area(receiver.memory(), {.log_slots = 1});
  area.SetTail(2);
  receiver.Attach(area.queue());
  Offer(receiver, {{1000}});
  receiver.Give(WithNetHeader(Frame(9000)));
  for (int i = 0; i < 5; ++i) {
    receiver.Drain();
    ASSERT_TRUE(receiver.Collect().empty());
    Offer(receiver, {{1000}});
  }
  Offer(receiver, {{9000}});
  receiver.Drain();
  std::vector<FakeDriver::Used> used = receiver.Collect();
  ASSERT_EQ(used.size(), 7u);
  EXPECT_EQ(area.Slot(0).substr(0, kHead) +
                Together(used).substr(receiver.header_bytes()),
            Frame(9000));
  EXPECT_EQ(area.Slot(1), std::string(128, '\xdd'));
  Offer(receiver, {{9000}});
  receiver.Give(WithNetHeader(Frame(100)));
  receiver.Drain();
  used = receiver.Collect();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(Field16(used[0].data, receiver.header_bytes() - 8), 1);
}

// Where a frame with its header has no room, but has without: it goes now.
TEST_P(SplitHostileTest, SlotMakesRoomInAShortBuffer) {
  SplitReceiver receiver(Shape(false, true));
  HeaderArea area(receiver.memory(), {});
  area.SetTail(1);
  receiver.Attach(area.queue());
  const uint32_t size = receiver.header_bytes() + 1000;
  Offer(receiver, {{size}, {size}});
  receiver.Give(WithNetHeader(Frame(1000)));
  receiver.Give(WithNetHeader(Frame(1000)));  // There is no slot for this.
  receiver.Drain();
  const std::vector<FakeDriver::Used> used = receiver.Collect();
  ASSERT_EQ(LensOf(used), Sizes({size}));
  EXPECT_EQ(receiver.drops(NetDrop::kNoRoom), 1u);
}

TEST_P(SplitHostileTest, BuffersOfOneKindAloneAreUsedByTheBaseRules) {
  SplitReceiver receiver(Shape(true, false));
  receiver.Set(Settings(SplitMethod::kSmallBuffers));
  const uint32_t header = receiver.header_bytes();
  for (int i = 0; i < 5; ++i) {
    // Header buffers alone.
    Offer(receiver, std::vector<Sizes>(6, {256}));
    receiver.Give(WithNetHeader(Frame(1100)));
    receiver.Drain();
    std::vector<FakeDriver::Used> used = receiver.Collect();
    const uint32_t whole = header + 1166;
    EXPECT_EQ(LensOf(used), Sizes({256, 256, 256, 256, whole - 1024}));
    EXPECT_EQ(Together(used).substr(header), Frame(1100));
    EXPECT_EQ(NumBuffersOf(used[0].data), 5);
    // Of those before, one is left; with it, one frame is split.
    Offer(receiver, {{1100}, {4096}, {4096}});
    receiver.Give(WithNetHeader(Frame(1100)));
    receiver.Drain();
    used = receiver.Collect();
    EXPECT_EQ(LensOf(used), Sizes({header + 66, 1100}));
    EXPECT_EQ(FlagsOf(used[0].data), 0x80);
    // Data buffers alone.
    receiver.Give(WithNetHeader(Frame(5000)));
    receiver.Drain();
    used = receiver.Collect();
    EXPECT_EQ(LensOf(used), Sizes({4096, header + 5066 - 4096}));
    EXPECT_EQ(FlagsOf(used[0].data), 0);
    EXPECT_EQ(Together(used).substr(header), Frame(5000));
  }
  EXPECT_EQ(receiver.split().split_packets.value(), 5u);
}

TEST_P(SplitHostileTest, BuffersMayBeAsSmallAsTheyLike) {
  for (const SplitMethod method :
       {SplitMethod::kBuffers, SplitMethod::kSmallBuffers}) {
    SplitReceiver receiver(Shape(true, false));
    SplitSettings settings = Settings(method);
    settings.header_buffer_bytes = 1;
    receiver.Set(settings);
    const uint32_t header = receiver.header_bytes();
    for (int i = 0; i < 5; ++i) {
      Offer(receiver, {{header}});
      Offer(receiver, std::vector<Sizes>(40, {1}));
      Offer(receiver, std::vector<Sizes>(20, {7}));
      receiver.Give(WithNetHeader(Frame(50)));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      // Those that are left are too short for a header and come back.
      Sizes lens(41, 1);
      lens[0] = header;
      lens.resize(51, 7);
      lens.push_back(116 - 40 - 70);
      ASSERT_EQ(NumBuffersOf(used[0].data), lens.size());
      lens.resize(61);
      ASSERT_EQ(LensOf(used), lens);
      EXPECT_EQ(Together(used).substr(header), Frame(50));
      EXPECT_EQ(FlagsOf(used[0].data), 0);
    }
  }
}

// One that has nothing to write to is full at once.
TEST_P(SplitHostileTest, BufferWithoutWritableElementsIsPassedOver) {
  const std::string frame = Frame(3000);
  for (const SplitMethod method :
       {SplitMethod::kBuffers, SplitMethod::kSmallBuffers,
        SplitMethod::kHeaderQueue}) {
    SplitReceiver receiver(Shape(true, true));
    HeaderArea area(receiver.memory(), {});
    area.SetTail(16);
    receiver.Set(Settings(method));
    const bool queued = method == SplitMethod::kHeaderQueue;
    if (queued) receiver.Attach(area.queue());
    const uint32_t header = receiver.header_bytes();
    for (uint16_t i = 0; i < 6; ++i) {
      Offer(receiver, {{256}, {0}, {0, 0}});
      ASSERT_TRUE(
          receiver.driver().Chain().Readable("nothing").Offer().has_value());
      Offer(receiver, {{2000}, {0}, {2000}, {0}});
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      const uint32_t left = queued ? header + 3000 - 256 - 2000 : 1000;
      // The last one comes back, too short for any frame.
      EXPECT_EQ(LensOf(used),
                Sizes({queued ? 256 : header + 66, 0, 0, 0, 2000, 0, left, 0}));
      EXPECT_EQ(NumBuffersOf(used[0].data), 7);
      EXPECT_EQ(FlagsOf(used[0].data), 0x80);
      const std::string head = queued ? area.Slot(i).substr(0, kHead) : "";
      EXPECT_EQ(head + Together(used).substr(header), frame);
    }
  }
}

// Of 1024 descriptors, more than readv takes.
// Among the buffers of a payload there may be one that has nothing to write to:
// it is used with no byte, and what is next to it is written to as it is meant.
TEST_P(SplitHostileTest, BufferWithoutAByteAmongThoseOfThePayload) {
  for (const SplitMethod method :
       {SplitMethod::kBuffers, SplitMethod::kSmallBuffers}) {
    SplitReceiver receiver(Shape(true, true));
    receiver.Set(Settings(method));
    const uint32_t header = receiver.header_bytes();
    // With and without a guess.
    for (uint32_t i = 0; i < 6; ++i) {
      SCOPED_TRACE(i);
      Offer(receiver, {{256}});
      FakeDriver& driver = receiver.driver();
      ASSERT_TRUE(driver.Chain().Readable("nothing").Offer().has_value());
      ASSERT_TRUE(driver.Chain()
                      .Readable(std::string(1000, 'r'))
                      .Writable(1000)
                      .Offer()
                      .has_value());
      const std::string frame = Frame(1000, i);
      receiver.Give(WithNetHeader(frame));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_EQ(LensOf(used), (Sizes{header + 66, 0, 1000}));
      EXPECT_EQ(FlagsOf(used[0].data), 0x80);
      EXPECT_EQ(Together(used).substr(header), frame);
    }
  }
}

// A driver that makes short buffers available as fast as they come back does
// not hold the worker: who stops the queue, and the control queue's worker that
// waits until new settings are in use, wait for the end of its turn.
TEST_P(SplitHostileTest, TurnEndsHoweverManyBuffersAreShort) {
  constexpr uint32_t kBuffers = ReceiveQueue::kBatch + 10;
  SplitReceiver receiver(Shape(true, true), {.size = 256});
  for (uint32_t i = 0; i < kBuffers; ++i) Offer(receiver, {{1}});
  EXPECT_TRUE(receiver.handler().Drain(receiver.queue()));
  EXPECT_EQ(receiver.counters().short_buffers.value(), ReceiveQueue::kBatch);
  EXPECT_FALSE(receiver.handler().Drain(receiver.queue()));
  EXPECT_EQ(receiver.counters().short_buffers.value(), kBuffers);
}

TEST_P(SplitHostileTest, FrameOverAThousandBuffers) {
  SplitReceiver receiver(Shape(true, false), {.size = 1024});
  const uint32_t header = receiver.header_bytes();
  const std::string frame = Frame(64000);
  for (int i = 0; i < 10; ++i) {
    std::vector<Sizes> buffers;
    Sizes lens = {header + 66};
    if (i < 5) {
      receiver.Set(Settings(SplitMethod::kBuffers));
      buffers = std::vector<Sizes>(1016, {63});
      lens.resize(1016, 63);
      lens.push_back(64000 - 1015 * 63);
      buffers.insert(buffers.begin(), {header + 66});
    } else {
      receiver.Set(Settings(SplitMethod::kSmallBuffers));
      buffers = {{256}};
      for (int n = 0; n < 250; ++n) {
        buffers.insert(buffers.end(), {{256}, {9}, {1}, {257}});
        lens.insert(lens.end(), {0, 0, 0, 257});
      }
      lens.back() = 64000 - 249 * 257;
    }
    Offer(receiver, buffers);
    receiver.Give(WithNetHeader(frame));
    receiver.Drain();
    const std::vector<FakeDriver::Used> used = receiver.Collect();
    ASSERT_EQ(LensOf(used), lens);
    EXPECT_EQ(FlagsOf(used[0].data), 0x80);
    EXPECT_EQ(NumBuffersOf(used[0].data), lens.size());
    EXPECT_TRUE(Together(used).substr(header) == frame);
  }
}

TEST_P(SplitHostileTest, BackendThatFailsOrVanishesIsSurvived) {
  for (const SplitMethod method :
       {SplitMethod::kChain, SplitMethod::kBuffers, SplitMethod::kSmallBuffers,
        SplitMethod::kHeaderQueue}) {
    const bool queued = method == SplitMethod::kHeaderQueue;
    SplitReceiver receiver(Shape(method != SplitMethod::kChain, queued));
    HeaderArea area(receiver.memory(), {});
    area.SetTail(16);
    if (queued) {
      receiver.Attach(area.queue());
    } else {
      receiver.Set(Settings(method));
    }
    for (int i = 0; i < 6; ++i) {
      if (method == SplitMethod::kChain) {
        Offer(receiver, {{128, 4096}});
      } else {
        Offer(receiver, {{256}, {4096}});
      }
      receiver.backend().failures.push_back(TransferStatus::kDropped);
      receiver.Give(std::string(kNetHeaderBytes + 13, 'x'));  // Too short.
      receiver.Give(std::string(5, 'x'));
      NetHeader wrong;
      wrong.gso_type = kNetGsoTcpv4;  // Without NEEDS_CSUM.
      receiver.Give(WithNetHeader(Frame(1000), wrong));
      receiver.Give(WithNetHeader(Frame(1000)));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_FALSE(used.empty());
      EXPECT_EQ(FlagsOf(used[0].data), 0x80);
      const std::string bytes = Together(used);
      EXPECT_EQ(bytes.substr(bytes.size() - 1000), Frame(1000).substr(kHead));
    }
    EXPECT_EQ(receiver.split().split_packets.value(), 6u);
    EXPECT_EQ(receiver.drops(NetDrop::kMalformed), 12u);
    EXPECT_EQ(receiver.drops(NetDrop::kOffload), 6u);
    receiver.backend().failures.push_back(TransferStatus::kGone);
    receiver.Drain();
    EXPECT_FALSE(receiver.handler().Wait().waits_for_fds());
  }
}

// A frame that the driver does not want leaves no trace, wherever it was read.
TEST_P(SplitHostileTest, UnwantedFrameTakesNeitherBufferNorSlot) {
  for (const SplitMethod method :
       {SplitMethod::kBuffers, SplitMethod::kHeaderQueue}) {
    SplitReceiver receiver(Shape(true, true));
    HeaderArea area(receiver.memory(), {});
    area.SetTail(16);
    receiver.Set(Settings(method));
    if (method == SplitMethod::kHeaderQueue) receiver.Attach(area.queue());
    NetSettings settings = *receiver.settings().Current();
    settings.filter = ReceiveFilter(
        FeatureSet::Of(kNetCtrlVq, kNetCtrlRx, kNetMac), {2, 0, 0, 0, 0, 1});
    settings.filter.SetMode(ReceiveFilter::kPromiscuous, false);
    receiver.settings().Publish(settings);
    std::string other = Frame(1000, 2);
    other[5] = 9;
    for (int i = 0; i < 8; ++i) {
      Offer(receiver, {{1100}});
      if (method == SplitMethod::kBuffers) Offer(receiver, {{1100}});
      receiver.Give(WithNetHeader(other));
      receiver.Give(WithNetHeader(Frame(1000)));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_FALSE(used.empty());
      EXPECT_EQ(FlagsOf(used[0].data), 0x80);
      const std::string bytes = Together(used).substr(receiver.header_bytes());
      if (method == SplitMethod::kBuffers) {
        EXPECT_EQ(bytes, Frame(1000));
      } else {
        EXPECT_EQ(area.Slot(static_cast<uint16_t>(i)).substr(0, kHead) + bytes,
                  Frame(1000));
      }
    }
    EXPECT_EQ(receiver.drops(NetDrop::kFiltered), 8u);
    EXPECT_EQ(receiver.split().split_packets.value(), 8u);
  }
}

TEST_P(SplitHostileTest, RateLimitHoldsSplitFramesBackAndLosesNone) {
  SplitReceiver receiver(
      Shape(true, true),
      {.limit = {.frames_per_second = 1000, .burst_frames = 2}});
  HeaderArea area(receiver.memory(), {.log_slots = 5});
  area.SetTail(32);
  receiver.Attach(area.queue());
  for (uint32_t i = 0; i < 20; ++i) {
    Offer(receiver, {{1100}});
    receiver.Give(WithNetHeader(Frame(1000, i)));
  }
  uint16_t seen = 0;
  while (seen < 20) {
    receiver.Drain();
    for (const FakeDriver::Used& used : receiver.Collect()) {
      ASSERT_EQ(area.Slot(seen).substr(0, kHead) +
                    used.data.substr(receiver.header_bytes()),
                Frame(1000, seen));
      ++seen;
    }
  }
}

// RING_RESET: frames in hand are forgotten, and nothing of the old queue or of
// its header queue is written to any more; then it goes on.
TEST_P(SplitHostileTest, StoppedQueueWritesNothingAndGoesOnWhenStarted) {
  for (const bool run : {false, true}) {
    for (const bool queued : {false, true}) {
      SplitReceiver receiver(Shape(true, true), {.bytes = 0x80000});
      HeaderArea area(receiver.memory(), {});
      area.SetTail(16);
      receiver.Set(Settings(SplitMethod::kBuffers));
      if (queued) receiver.Attach(area.queue());
      uint16_t slots = 0;
      for (int i = 0; run && i < 5; ++i) {
        Offer(receiver, {{9100}});
        if (!queued) Offer(receiver, {{9100}});
        receiver.Give(WithNetHeader(Frame(9000)));
        receiver.Drain();
        ASSERT_EQ(receiver.Collect().size(), queued ? 1u : 2u);
        ++slots;
      }
      Offer(receiver, {{4096}});
      receiver.Give(WithNetHeader(Frame(9000)));
      receiver.Drain();
      receiver.StopQueue();
      std::vector<uint8_t> before(0x80000);
      std::vector<uint8_t> after(before.size());
      ASSERT_TRUE(receiver.memory().Read(memory::GuestAddress(0x10000),
                                         absl::MakeSpan(before)));
      const std::string headers = area.All();
      receiver.StartQueue(memory::GuestAddress(0x100000));
      receiver.Drain();
      EXPECT_EQ(area.All(), headers);
      Offer(receiver, {{4096}, {4096}});
      receiver.Give(WithNetHeader(Frame(1000)));
      receiver.Drain();
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_FALSE(used.empty());
      EXPECT_EQ(FlagsOf(used[0].data), 0x80);
      const std::string bytes = Together(used).substr(receiver.header_bytes());
      if (queued) {
        EXPECT_EQ(Field16(used[0].data, receiver.header_bytes() - 8), slots);
        EXPECT_EQ(area.Slot(slots).substr(0, kHead) + bytes, Frame(1000));
      } else {
        EXPECT_EQ(bytes, Frame(1000));
      }
      ASSERT_TRUE(receiver.memory().Read(memory::GuestAddress(0x10000),
                                         absl::MakeSpan(after)));
      EXPECT_TRUE(before == after);
    }
  }
}

// Migration: every page is logged that the driver may look at.
TEST_P(SplitHostileTest, PagesOfSplitFramesAreLogged) {
  constexpr uint64_t kPage = memory::DirtyLog::kPageSize;
  constexpr size_t kBytes = 0x60000;
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kBytes}).value();
  for (const SplitMethod method :
       {SplitMethod::kChain, SplitMethod::kBuffers, SplitMethod::kSmallBuffers,
        SplitMethod::kHeaderQueue}) {
    memory::DirtyLog log(kBytes);
    const memory::GuestMemory memory =
        memory::GuestMemory::Create(ram.Regions(), &log).value();
    const bool queued = method == SplitMethod::kHeaderQueue;
    SplitReceiver receiver(Shape(method != SplitMethod::kChain, queued),
                           {.memory = &memory, .bytes = 0x40000});
    HeaderArea area(memory, {.slot_bytes = 1024,
                             .log_slots = 4,
                             .base = memory::GuestAddress(0x58000)});
    area.SetTail(16);
    if (queued) {
      receiver.Attach(area.queue());
    } else {
      receiver.Set(Settings(method));
    }
    for (uint32_t i = 0; i < 8; ++i) {
      if (method == SplitMethod::kChain) {
        Offer(receiver, {{5000, 3000, 9000}});
      } else {
        Offer(receiver, {{256}, {9000}});
      }
      receiver.Give(WithNetHeader(Frame(8500, i)));
      std::vector<uint8_t> before(kBytes);
      std::vector<uint8_t> after(kBytes);
      ASSERT_TRUE(memory.Read(memory::GuestAddress(0), absl::MakeSpan(before)));
      (void)log.Collect();
      receiver.Drain();
      const std::vector<uint64_t> pages = log.Collect();
      ASSERT_TRUE(memory.Read(memory::GuestAddress(0), absl::MakeSpan(after)));
      for (uint64_t page = 0; page < kBytes / kPage; ++page) {
        if (std::memcmp(&before[page * kPage], &after[page * kPage], kPage) ==
            0) {
          continue;
        }
        EXPECT_TRUE(std::binary_search(pages.begin(), pages.end(), page))
            << "page " << page;
      }
      const std::vector<FakeDriver::Used> used = receiver.Collect();
      ASSERT_FALSE(used.empty());
      ASSERT_EQ(FlagsOf(used[0].data), 0x80);
    }
    EXPECT_EQ(receiver.split().mispredicted.value(), 0u);
    EXPECT_GT(receiver.split().predicted.value(), 3u);
  }
}

std::vector<SplitShape> Shapes() {
  std::vector<SplitShape> shapes;
  for (const SplitShape& shape : EveryShape()) {
    if (!shape.mergeable && !shape.header_queue) shapes.push_back(shape);
  }
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(All, SplitHostileTest, testing::ValuesIn(Shapes()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace annulus::virtio
