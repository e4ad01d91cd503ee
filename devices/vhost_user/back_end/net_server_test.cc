// Network devices behind vhost-user: several queues, several devices, and what
// the protocol has for this type alone.

#include <poll.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/net_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/frame_switch_port.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/status.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::vhost_user {
namespace {

using R = Request;

constexpr TestMac kOne = {0x52, 0x54, 0, 0, 0, 1};
constexpr TestMac kTwo = {0x52, 0x54, 0, 0, 0, 2};

std::unique_ptr<virtio::NetBackend> Loopback(uint16_t queue_pairs = 1) {
  return virtio::LoopbackBackend::Create(queue_pairs).value();
}

// VHOST_USER_GET_CONFIG.
uint16_t MtuOf(TestFrontEnd& front_end) {
  struct {
    ConfigDescription description = {
        .offset = virtio::kNetConfigMtu, .size = sizeof(uint16_t), .flags = 0};
    uint16_t mtu = 0;
    uint16_t padding = 0;
  } config;
  Message message =
      MakeMessage(static_cast<uint32_t>(R::kGetConfig), 0, config);
  message.size = sizeof(ConfigDescription) + sizeof(uint16_t);
  EXPECT_TRUE(front_end.Send(message));
  const std::optional<Message> reply = front_end.Receive();
  if (!reply.has_value() || reply->size != message.size) return 0;
  uint16_t mtu = 0;
  std::memcpy(&mtu, reply->payload.data() + sizeof(ConfigDescription),
              sizeof(mtu));
  return mtu;
}

bool Readable(const UniqueFd& fd) {
  pollfd ready = {.fd = fd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, 0) == 1;
}

TEST(NetServerTest, MtuOfTheFrontEndGoesWithIt) {
  NetServer server(Loopback());
  for (int i = 0; i < 2; ++i) {
    NetGuest guest(server);
    EXPECT_EQ(MtuOf(guest.front_end()), 1500u);
    EXPECT_EQ(guest.front_end().Ask(R::kNetSetMtu, uint64_t{1400}), 0u);
    EXPECT_EQ(MtuOf(guest.front_end()), 1400u);
    for (const uint64_t wrong : {uint64_t{67}, uint64_t{65536}}) {
      EXPECT_EQ(guest.front_end().Ask(R::kNetSetMtu, wrong), 1u);
    }
    // A device reset is the driver's, and the MTU is not.
    EXPECT_EQ(guest.front_end().Ask(R::kSetStatus, uint64_t{0}), 0u);
    EXPECT_EQ(MtuOf(guest.front_end()), 1400u);
  }
}

TEST(NetServerTest, RarpReachesTheOthersWithoutTheGuest) {
  const auto lan = virtio::FrameSwitch::Create("lan").value();
  NetServer one(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetServer two(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetGuest sender(one);
  NetGuest receiver(two);
  receiver.OfferRoom();
  std::array<uint8_t, 8> payload = {};
  std::memcpy(payload.data(), kOne.data(), kOne.size());
  EXPECT_EQ(sender.front_end().Ask(R::kSendRarp, payload), 0u);
  const std::string frame = receiver.AwaitFrame();
  EXPECT_EQ(frame.substr(0, 14),
            FrameOf(kEveryone, kOne, "").substr(0, 12) + "\x80\x35");
  // No card has a group's address.
  payload[0] |= 1;
  EXPECT_EQ(sender.front_end().Ask(R::kSendRarp, payload), 1u);
}

TEST(NetServerTest, GuestsOfOneProcessTalkByASwitch) {
  const auto lan = virtio::FrameSwitch::Create("lan").value();
  NetServer server_one(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetServer server_two(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetGuest one(server_one);
  NetGuest two(server_two);
  const std::string hello = FrameOf(kEveryone, kOne, "hello");
  two.OfferRoom();
  one.Send(hello);
  EXPECT_EQ(two.AwaitFrame(), hello);
  for (int i = 0; i < 100; ++i) {
    const std::string ask = FrameOf(kOne, kTwo, "ask" + std::to_string(i));
    const std::string answer = FrameOf(kTwo, kOne, std::to_string(i));
    one.OfferRoom();
    two.OfferRoom();
    two.Send(ask);
    EXPECT_EQ(one.AwaitFrame(), ask);
    one.Send(answer);
    EXPECT_EQ(two.AwaitFrame(), answer);
  }
}

// bad_inputs: "other queues/devices unaffected; reset recovers".
TEST(NetServerTest, QueueThatBreaksIsAloneInThat) {
  constexpr uint16_t kPairs = 3;
  constexpr uint16_t kBroken = 1;
  NetServer server(Loopback(kPairs), kPairs);
  NetGuest guest(server, kPairs);
  TestQueue& victim = guest.transmit(kBroken);
  // A descriptor far outside of memory.
  constexpr std::array<uint8_t, 16> kFar = {0, 0, 0, 0, 0xff, 0xff, 0,   0,
                                            1, 0, 0, 0, 0,    0,    0x80};
  ASSERT_TRUE(guest.front_end().memory().Write(
      victim.driver().config().descriptor, absl::MakeConstSpan(kFar)));
  victim.Kick();
  victim.AwaitError();
  EXPECT_EQ(guest.front_end().Get(R::kGetStatus),
            uint64_t{virtio::kStatusDeviceNeedsReset});
  for (int i = 0; i < 50; ++i) {
    for (const uint16_t pair : {0, 2}) {
      const std::string text = std::to_string(i) + "/" + std::to_string(pair);
      guest.OfferRoom(pair);
      guest.Send(FrameOf(kOne, kTwo, text), pair);
      EXPECT_EQ(guest.AwaitFrame(pair), FrameOf(kTwo, kOne, text));
    }
  }
  EXPECT_FALSE(victim.driver().HasUsed());
  // And the device again, by a reset.
  ASSERT_EQ(guest.front_end().Ask(R::kSetStatus, uint64_t{0}), 0u);
  guest.front_end().HangUp();
  NetGuest next(server, kPairs);
  next.OfferRoom(kBroken);
  next.Send(FrameOf(kOne, kTwo, "next"), kBroken);
  EXPECT_EQ(next.AwaitFrame(kBroken), FrameOf(kTwo, kOne, "next"));
}

// "must process and discard any TX packets": not here, see docs/vhost_user.md.
// A front-end disables a ring before it stops it, and enables it after it has
// started it.
TEST(NetServerTest, DisabledRingKeepsWhatWaitsThere) {
  NetServer server(Loopback());
  NetGuest guest(server);
  TestQueue& queue = guest.transmit();
  const std::string frame = FrameOf(kOne, kTwo, "kept");
  guest.OfferRoom();
  ASSERT_EQ(guest.front_end().Ask(R::kSetVringEnable, queue.State(0)), 0u);
  ASSERT_TRUE(queue.driver()
                  .Chain()
                  .Readable(std::string(virtio::kNetHeaderBytes, '\0') + frame)
                  .Offer()
                  .has_value());
  queue.Kick();
  queue.SetUp(guest.front_end().StopVring(1));
  (void)queue.AwaitUsed();
  EXPECT_EQ(guest.AwaitFrame(), FrameOf(kTwo, kOne, "kept"));
}

// While no queue runs, the device has nobody to tell.
TEST(NetServerTest, ConfigurationThatChangesMeanwhileIsToldAtTheStart) {
  NetServer server(Loopback());
  NetGuest guest(server);
  auto [ours, theirs] = SocketPair();
  ASSERT_TRUE(guest.front_end().Send(R::kSetBackendReqFd, {theirs.get()}));
  for (uint16_t mtu = 1400; mtu < 1403; ++mtu) {
    const std::optional<uint32_t> receive_base = guest.front_end().StopVring(0);
    const std::optional<uint32_t> transmit_base =
        guest.front_end().StopVring(1);
    ASSERT_TRUE(server.device().SetMtu(mtu));
    EXPECT_EQ(MtuOf(guest.front_end()), mtu);
    EXPECT_FALSE(Readable(ours));
    guest.receive().SetUp(receive_base);
    guest.transmit().SetUp(transmit_base);
    // It is sent before the next request is looked at.
    EXPECT_TRUE(guest.front_end().Get(R::kGetStatus).has_value());
    ASSERT_TRUE(Readable(ours));
    TestFrontEnd channel(DuplicateFd(ours.get()));
    EXPECT_EQ(channel.Receive()->request, 2u);
    EXPECT_FALSE(Readable(ours)) << "once is enough";
  }
}

TEST(NetServerTest, NextGuestSeesNoFramesOfTheOneBefore) {
  NetServer server(Loopback());
  for (int i = 0; i < 3; ++i) {
    NetGuest guest(server);
    guest.OfferRoom();
    guest.Send(FrameOf(kOne, kTwo, "first of " + std::to_string(i)));
    EXPECT_EQ(guest.AwaitFrame(),
              FrameOf(kTwo, kOne, "first of " + std::to_string(i)));
    // For which there is no room.
    for (int n = 0; n < 20; ++n) guest.Send(FrameOf(kOne, kTwo, "secret"));
  }
}

TEST(NetServerTest, NextGuestSeesNoFramesOfTheSwitchForTheOneBefore) {
  const auto lan = virtio::FrameSwitch::Create("lan").value();
  NetServer server_one(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetServer server_two(virtio::FrameSwitchPort::Create(lan, 1).value());
  NetGuest sender(server_one);
  for (int i = 0; i < 3; ++i) {
    sender.Send(FrameOf(kEveryone, kOne, "for nobody"));
    // The worker has nothing under way when its queue is stopped.
    sender.transmit().SetUp(sender.front_end().StopVring(1));
    NetGuest receiver(server_two);
    receiver.OfferRoom();
    sender.Send(FrameOf(kEveryone, kOne, "now"));
    EXPECT_EQ(receiver.AwaitFrame(), FrameOf(kEveryone, kOne, "now"));
  }
}

}  // namespace
}  // namespace annulus::vhost_user
