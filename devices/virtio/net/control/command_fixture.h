#ifndef DEVICES_VIRTIO_NET_CONTROL_COMMAND_FIXTURE_H_
#define DEVICES_VIRTIO_NET_CONTROL_COMMAND_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/recording_target.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {

inline constexpr MacAddress kFixtureMac = {2, 0, 0, 0, 0, 1};
inline constexpr uint64_t kFixtureRamBytes = 1 << 20;  // From address 0.
inline constexpr uint32_t kSplitFeature = HeaderSplitNumbers().split_feature;
inline constexpr uint32_t kHeaderQueueFeature =
    HeaderSplitNumbers().header_queue_feature;

// For tests of single commands: a driver that negotiated everything, unless a
// test says otherwise.
class CommandFixture : public testing::Test {
 protected:
  ControlReply Execute(uint8_t command_class, uint8_t command,
                       const FrameBytes& data) {
    return ExecuteControlCommand({command_class, command, data},
                                 {.features = features_,
                                  .settings = settings_,
                                  .target = target_,
                                  .header_split = header_split_,
                                  .memory = memory_,
                                  .result_room = result_room_});
  }
  bool Succeeds(uint8_t command_class, uint8_t command,
                const FrameBytes& data) {
    return Execute(command_class, command, data).ok;
  }

  // It fails, and nothing has changed.
  void ExpectRefused(uint8_t command_class, uint8_t command,
                     const FrameBytes& data) {
    const NetSettings before = settings_;
    const std::vector<std::string> calls = target_.calls;
    const ControlReply reply = Execute(command_class, command, data);
    EXPECT_FALSE(reply.ok);
    EXPECT_FALSE(reply.settings_changed);
    EXPECT_TRUE(reply.result.bytes().empty());
    EXPECT_TRUE(settings_ == before);
    EXPECT_EQ(target_.calls, calls);
  }

  // `data` is a legal command; all of its beginnings, and more than it, are
  // not, nor is the command without `feature`. At the end it is executed.
  void ExpectExactDataAndFeature(uint8_t command_class, uint8_t command,
                                 const FrameBytes& data, uint32_t feature) {
    for (size_t bytes = 0; bytes < data.size(); ++bytes) {
      SCOPED_TRACE(bytes);
      ExpectRefused(command_class, command,
                    FrameBytes(data.begin(), data.begin() + bytes));
    }
    ExpectRefused(command_class, command, Joined({data, {0}}));
    features_.Remove(feature);
    ExpectRefused(command_class, command, data);
    features_.Add(feature);
    EXPECT_TRUE(Succeeds(command_class, command, data));
  }

  FeatureSet features_ = FeatureSet::Of(
      kNetCtrlVq, kNetCtrlRx, kNetCtrlRxExtra, kNetCtrlVlan, kNetCtrlMacAddr,
      kNetMac, kNetMq, kNetRss, kNetHashReport, kNetGuestAnnounce,
      kNetCtrlGuestOffloads, kNetGuestCsum, kNetGuestTso4, kNetGuestTso6,
      kNetGuestEcn, kNetGuestUso4, kNetGuestUso6, kNetNotfCoal, kNetVqNotfCoal,
      kSplitFeature, kHeaderQueueFeature);
  NetSettings settings_ = InitialNetSettings(features_, kFixtureMac);
  RecordingTarget target_;
  HeaderSplitOptions header_split_ = {.offered = true};
  memory::GuestRam ram_ =
      memory::GuestRam::Create({.size = kFixtureRamBytes}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  uint32_t result_room_ = 64;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_COMMAND_FIXTURE_H_
