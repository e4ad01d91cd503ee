#include "devices/virtio/net/control/control_queue.h"

#include <sched.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/thread.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/recording_target.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

using Calls = std::vector<std::string>;

const std::string kOk(1, '\0');
const std::string kError(1, '\1');

// Commands as a driver lays them out.
const std::string kPromiscOn("\0\0\1", 3);
const std::string kPairs2("\4\0\2\0", 4);
const std::string kPairs5("\4\0\5\0", 4);
const std::string kVqGet1("\6\3\1\0\0\0", 6);
const std::string kSplitCapabilities("\x80\2", 2);

// CREATE of header queue 3: 16 slots of 64 bytes, near the end of RAM or
// beyond.
std::string CreateHeaderQueue(bool in_ram) {
  const char base_end = in_ram ? '\xf8' : '\xfe';
  return std::string("\x81\1\3\0\x40\0\4\0\0\0", 10) +
         std::string{'\0', base_end, '\x0f', '\0', '\0', '\0', '\0', '\0'} +
         std::string("\0\x80\0\0\0\0\0\0", 8) +  // tail_addr
         std::string("\xf\0\0\0\0\0\0\0", 8) +   // types
         std::string(8, '\0');
}

// Over packed, indirect.
class ControlQueueTest : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  ControlQueueTest() {
    const FeatureSet features =
        FeatureSet::Of(kNetCtrlVq, kNetCtrlRx, kNetMq, kNetMac, kNetVqNotfCoal,
                       kNetGuestAnnounce, HeaderSplitNumbers().split_feature,
                       HeaderSplitNumbers().header_queue_feature);
    store_.Publish(InitialNetSettings(features, {2, 0, 0, 0, 0, 1}));
    control_.SetFeatures(features);
  }

  // Serves everything that was offered.
  void Drain() {
    while (control_.Drain(queue_)) {
    }
    (void)queue_.Publish();
  }

  // Offers one buffer with these elements, serves it, and returns it.
  FakeDriver::Used Serve(const std::vector<std::string>& readable,
                         const std::vector<uint32_t>& writable) {
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (const std::string& bytes : readable) chain.Readable(bytes);
    for (const uint32_t bytes : writable) chain.Writable(bytes);
    EXPECT_TRUE(chain.Offer().has_value());
    Drain();
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    EXPECT_TRUE(used.has_value());
    EXPECT_TRUE(queue_.ok());
    return used.value_or(FakeDriver::Used{});
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = std::get<0>(GetParam()),
                      .indirect = std::get<1>(GetParam()),
                      .size = 64}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  NetSettingsStore store_;
  RecordingTarget target_;
  ControlQueue control_{store_, target_, {.offered = true}};
};

// As Linux does: the header, the data and ack in elements of their own.
TEST_P(ControlQueueTest, CommandChangesTheSettingsAndIsAcknowledged) {
  const FakeDriver::Used used =
      Serve({kPairs2.substr(0, 2), kPairs2.substr(2)}, {1});
  EXPECT_EQ(used.len, 1u);
  EXPECT_EQ(used.data, kOk);
  EXPECT_EQ(store_.Current()->active_pairs, 2);
  EXPECT_EQ(target_.calls, (Calls{"pairs 2", "published"}));
  EXPECT_EQ(target_.published.active_pairs, 2);
  EXPECT_EQ(control_.commands(), 1u);
  EXPECT_EQ(control_.commands_ok(), 1u);
}

TEST_P(ControlQueueTest, SettingsAddUpOverCommands) {
  Serve({kPairs2}, {1});
  Serve({kPromiscOn}, {1});
  EXPECT_EQ(store_.Current()->active_pairs, 2);
  EXPECT_TRUE(store_.Current()->filter.mode(ReceiveFilter::kPromiscuous));
}

// "A device MUST NOT make assumptions about the particular arrangement of
// descriptors" (§2.7.4.2), down to a byte each.
TEST_P(ControlQueueTest, CommandMayBeSplitOverAnyDescriptors) {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{kPairs2},
        {kPairs2.substr(0, 1), kPairs2.substr(1)},
        {kPairs2.substr(0, 3), kPairs2.substr(3)},
        {kPairs2.substr(0, 1), kPairs2.substr(1, 1), kPairs2.substr(2, 1),
         kPairs2.substr(3)},
        {"", kPairs2.substr(0, 1), "", kPairs2.substr(1), ""}}) {
    store_.Publish(NetSettings());
    EXPECT_EQ(Serve(pieces, {0, 1, 0}).data, kOk);
    EXPECT_EQ(store_.Current()->active_pairs, 2);
  }
}

TEST_P(ControlQueueTest, AckIsTheFirstWritableByteAndNoMoreIsWritten) {
  const FakeDriver::Used used = Serve({kPromiscOn}, {1, 16});
  EXPECT_EQ(used.len, 1u);
  EXPECT_EQ(used.data, kOk);
}

// bad_inputs 30: "ctrl-vq pairs > max: CH 0e085592b".
TEST_P(ControlQueueTest, RefusedCommandIsAnErrorAndPublishesNothing) {
  const auto before = store_.Current();
  const FakeDriver::Used used = Serve({kPairs5}, {1});
  EXPECT_EQ(used.len, 1u);
  EXPECT_EQ(used.data, kError);
  EXPECT_EQ(store_.Current(), before);
  EXPECT_EQ(target_.calls, Calls());
  EXPECT_EQ(control_.commands(), 1u);
  EXPECT_EQ(control_.commands_ok(), 0u);
}

// bad_inputs 30: "ctrl command truncated".
TEST_P(ControlQueueTest, TruncatedCommandIsAnError) {
  EXPECT_EQ(Serve({kPairs2.substr(0, 3)}, {1}).data, kError);
  EXPECT_EQ(Serve({kPairs2.substr(0, 2)}, {1}).data, kError);
  EXPECT_EQ(store_.Current()->active_pairs, 1);
}

// bad_inputs 22.
TEST_P(ControlQueueTest, BufferWithoutACommandComesBackEmpty) {
  for (const std::vector<std::string>& readable :
       {std::vector<std::string>{}, {""}, {"\4"}}) {
    const FakeDriver::Used used = Serve(readable, {4});
    EXPECT_EQ(used.len, 0u);
  }
  EXPECT_EQ(control_.commands(), 0u);
}

// bad_inputs 22. Nothing is executed that could not be answered.
TEST_P(ControlQueueTest, BufferWithoutRoomForAckComesBackEmpty) {
  EXPECT_EQ(Serve({kPairs2}, {}).len, 0u);
  EXPECT_EQ(Serve({kPairs2}, {0}).len, 0u);
  EXPECT_EQ(store_.Current()->active_pairs, 1);
  EXPECT_EQ(target_.calls, Calls());
}

TEST_P(ControlQueueTest, CommandThatChangesNoSettingsPublishesNothing) {
  EXPECT_EQ(Serve({std::string("\3\0", 2)}, {1}).data, kOk);
  EXPECT_EQ(target_.calls, Calls{"announce"});
}

// A table of many addresses, in a page each as from a driver that builds it so.
TEST_P(ControlQueueTest, LongestCommandsAreTakenAndLongerOnesAreErrors) {
  const size_t entries = (ControlQueue::kMaxCommandBytes - 10) / 6;
  std::string command("\1\0", 2);
  const auto append_count = [&command](size_t count) {
    for (int shift = 0; shift < 32; shift += 8) {
      command += static_cast<char>(count >> shift);
    }
  };
  append_count(0);
  append_count(entries);
  for (size_t i = 0; i < entries; ++i) {
    command += std::string("\1\0\x5e\0\0\1", 6);
  }
  std::vector<std::string> pages;
  for (size_t at = 0; at < command.size(); at += 4096) {
    pages.push_back(command.substr(at, 4096));
  }
  // 17 elements: more than FakeDriver puts into an indirect table.
  EXPECT_EQ(Serve(pages, {1}).data, kOk);
  EXPECT_EQ(Serve({command}, {1}).data, kOk);
  // What fits is a legal command, and the whole is not.
  ASSERT_EQ(command.size(), ControlQueue::kMaxCommandBytes);
  EXPECT_EQ(Serve({command + "x"}, {1}).data, kError);
  EXPECT_EQ(
      Serve({std::string("\3\0", 2) + std::string(200'000, '\0')}, {1}).data,
      kError);
}

// §5.1.6.5.10: the parameters are the device-writable end of the data, and ack
// follows them.
TEST_P(ControlQueueTest, VqGetAnswersWithParametersBeforeAck) {
  target_.coalescing.Set(1,
                         {.max_packets = 0x04030201, .max_usecs = 0x08070605});
  const std::string expected("\1\2\3\4\5\6\7\10\0", 9);
  EXPECT_EQ(Serve({kVqGet1}, {8, 1}).data, expected);
  EXPECT_EQ(Serve({kVqGet1}, {9}).data, expected);
  const FakeDriver::Used scattered = Serve({kVqGet1}, {3, 1, 4, 2});
  EXPECT_EQ(scattered.len, 9u);
  EXPECT_EQ(scattered.data, expected);
}

TEST_P(ControlQueueTest, VqGetOfAnotherQueueIsAnErrorInTheSamePlace) {
  target_.enabled = {0};
  const FakeDriver::Used used = Serve({kVqGet1}, {8, 1});
  EXPECT_EQ(used.len, 9u);
  EXPECT_EQ(used.data, std::string(8, '\0') + kError);
}

TEST_P(ControlQueueTest, VqGetWithoutRoomForTheParametersIsAnError) {
  for (const uint32_t room : {1, 8}) {
    const FakeDriver::Used used = Serve({kVqGet1}, {room});
    EXPECT_EQ(used.len, 1u);
    EXPECT_EQ(used.data, kError);
  }
}

// §5.1.6.5: command-specific-result follows ack.
TEST_P(ControlQueueTest, ResultFollowsAck) {
  const std::string expected("\0\xf\0\0\0\0\0\0\0\3\0\0\0\x7a\x40\0\0", 17);
  EXPECT_EQ(Serve({kSplitCapabilities}, {1, 16}).data, expected);
  EXPECT_EQ(Serve({kSplitCapabilities}, {17}).data, expected);
  const FakeDriver::Used scattered =
      Serve({kSplitCapabilities}, {0, 3, 1, 4, 9, 20});
  EXPECT_EQ(scattered.len, 17u);
  EXPECT_EQ(scattered.data, expected);
  EXPECT_EQ(target_.calls, Calls());
  EXPECT_EQ(control_.commands_ok(), 3u);
}

TEST_P(ControlQueueTest, WithoutRoomForTheResultThereIsAckAlone) {
  for (const std::string& command :
       {kSplitCapabilities, std::string("\x81\0", 2)}) {
    for (const uint32_t room : {1, 2, 16}) {
      const FakeDriver::Used used = Serve({command}, {room});
      EXPECT_EQ(used.len, 1u);
      EXPECT_EQ(used.data, kError);
    }
  }
  EXPECT_EQ(control_.commands_ok(), 0u);
}

TEST_P(ControlQueueTest, RefusedCommandHasNoResult) {
  const FakeDriver::Used used = Serve({kSplitCapabilities + "x"}, {64});
  EXPECT_EQ(used.len, 1u);
  EXPECT_EQ(used.data, kError);
}

TEST_P(ControlQueueTest, HeaderQueueLiesInTheMemoryOfTheControlQueue) {
  EXPECT_EQ(Serve({CreateHeaderQueue(/*in_ram=*/false)}, {1}).data, kError);
  EXPECT_EQ(store_.Current()->header_queues, HeaderQueues());
  EXPECT_EQ(Serve({CreateHeaderQueue(/*in_ram=*/true)}, {1}).data, kOk);
  const HeaderQueues queues = store_.Current()->header_queues;
  ASSERT_NE(queues.by_id[3], nullptr);
  EXPECT_EQ(queues.by_id[3]->config().base.value(), 0xff800u);
}

// Settings hold for every packet that is processed after ack.
TEST_P(ControlQueueTest, AckWaitsForWorkersThatUseOlderSettings) {
  NetSettingsReader worker(store_);
  ASSERT_EQ(worker.Begin().active_pairs, 1);
  ASSERT_TRUE(driver_.Chain().Readable(kPairs2).Writable(1).Offer());
  bool worker_ended = false;
  bool ended_before_ack = false;
  Thread control = Thread::Start("control", [&] {
                     Drain();
                     ended_before_ack = worker_ended;
                   }).value();
  while (store_.Current()->active_pairs != 2) sched_yield();
  for (int i = 0; i < 100; ++i) sched_yield();  // It could go on, if it did.
  EXPECT_EQ(control_.commands(), 0u);
  worker_ended = true;
  worker.End();
  control.Join();
  EXPECT_TRUE(ended_before_ack);
  EXPECT_EQ(driver_.GetUsed().value_or(FakeDriver::Used{}).data, kOk);
}

TEST_P(ControlQueueTest, DrainIsBoundedAndGoesOn) {
  constexpr int kCommands = ControlQueue::kMaxCommandsPerDrain + 1;
  for (int i = 0; i < kCommands; ++i) {
    ASSERT_TRUE(driver_.Chain().Readable(kPromiscOn).Writable(1).Offer());
  }
  EXPECT_TRUE(control_.Drain(queue_));
  EXPECT_EQ(control_.commands(),
            static_cast<uint64_t>(ControlQueue::kMaxCommandsPerDrain));
  EXPECT_FALSE(control_.Drain(queue_));
  (void)queue_.Publish();
  for (int i = 0; i < kCommands; ++i) {
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    ASSERT_TRUE(used.has_value());
    EXPECT_EQ(used->data, kOk);
  }
  EXPECT_FALSE(driver_.broken());
}

INSTANTIATE_TEST_SUITE_P(Rings, ControlQueueTest,
                         testing::Combine(testing::Bool(), testing::Bool()));

}  // namespace
}  // namespace annulus::virtio
