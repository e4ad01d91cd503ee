// FrontEndDevice: a guest that uses its queues.

#include <cstdint>
#include <optional>

#include "base/event_fd.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/vhost_user/front_end/front_end_testing.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::vhost_user {
namespace {

using virtio::FeatureSet;

TEST_P(FrontEndDeviceTest, BackEndServesTheGuest) {
  const auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  EXPECT_EQ(device->device_id(), virtio::kDeviceIdEntropy);
  EXPECT_EQ(device->max_queue_sizes().size(), 1u);
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  for (uint32_t i = 1; i <= 100; ++i) {
    guest.Ask(i);
    const int before = guest.interrupt.count();
    EXPECT_EQ(guest.Answer().len, i);
    Await([&] { return guest.interrupt.count() > 0 || before > 0; });
  }
  EXPECT_FALSE(guest.host.needs_reset);
}

TEST_P(FrontEndDeviceTest, StoppedQueueGoesOnWhereItWas) {
  const auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  for (int i = 0; i < 20; ++i) {
    guest.Ask(64);
    guest.Answer();
  }
  const std::optional<virtio::QueueState> state = device->StopQueue(0);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->packed, GetParam());
  EXPECT_EQ(state->next_available, GetParam() ? 4 : 20);
  EXPECT_EQ(state->next_used, state->next_available);
  EXPECT_EQ(device->StopQueue(0), std::nullopt);
  guest.Ask(64);
  guest.StartQueue(*device, state);
  EXPECT_EQ(guest.Answer().len, 64u);
}

TEST_P(FrontEndDeviceTest, AfterResetItBeginsAnew) {
  const auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  for (int i = 0; i < 3; ++i) {
    FrontEndGuest guest(GetParam());
    guest.Start(*device);
    guest.Ask(10);
    EXPECT_EQ(guest.Answer().len, 10u);
    device->Reset();
  }
  EXPECT_EQ(device->connections(), 1u);
}

TEST_P(FrontEndDeviceTest, RingOutsideOfMemoryNeedsResetAndCostsNoConnection) {
  const auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  FrontEndGuest guest(GetParam());
  memory::GuestRam ram =
      *memory::GuestRam::Create({.size = 4096, .shared = true});
  memory::GuestMemory small = *memory::GuestMemory::Create(ram.Regions());
  virtio::QueueConfig config;
  config.size = 16;
  config.descriptor = memory::GuestAddress(4096 - 16);
  const EventFd notification = *EventFd::Create();
  device->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  device->StartQueue(0, {.config = config,
                         .memory = &small,
                         .notification = &notification,
                         .interrupt = &guest.interrupt,
                         .host = &guest.host});
  EXPECT_TRUE(guest.host.needs_reset);
  device->Reset();
  guest.Start(*device);
  guest.Ask(5);
  EXPECT_EQ(guest.Answer().len, 5u);
  EXPECT_EQ(device->connections(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Rings, FrontEndDeviceTest, testing::Bool(), RingName);

}  // namespace
}  // namespace annulus::vhost_user
