// FrontEndDevice: back-ends that do something wrong when the guest runs.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/vhost_user/front_end/front_end_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

using virtio::FeatureSet;

TEST_F(HostileBackEndTest, OneThatStopsAnsweringCostsTheDeviceAlone) {
  patience_ = absl::Milliseconds(200);
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kSetMemTable)) {
      return true;  // And no answer.
    }
    return Honest(request, Bit(ProtocolFeature::kReplyAck));
  });
  auto device = Create();
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  Await([&] { return guest.host.needs_reset.load(); });
  EXPECT_TRUE((*device)->StopQueue(0).has_value());
  (*device)->Reset();
}

TEST_F(HostileBackEndTest, OneThatRefusesQueueNeedsReset) {
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kSetVringAddr)) {
      return Reply(request, 1);
    }
    return Honest(request, Bit(ProtocolFeature::kReplyAck));
  });
  auto device = Create();
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  Await([&] { return guest.host.needs_reset.load(); });
}

// The back-end has the eventfd by which it is told of buffers, can fill it up
// and make it block: the guest hangs here if it is written to.
TEST_F(HostileBackEndTest, FullNotificationThatBlocksHoldsNobodyUp) {
  std::atomic<int> kicks{0};
  Play([&](Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kSetVringKick)) {
      const uint64_t most = UINT64_MAX - 1;
      (void)!::write(request.fds.at(0).get(), &most, sizeof(most));
      ::fcntl(request.fds.at(0).get(), F_SETFL, 0);
      ++kicks;
    }
    return Honest(request, Bit(ProtocolFeature::kReplyAck));
  });
  auto device = Create();
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  (*device)->Reset();
  EXPECT_EQ(kicks, 1);
}

// Each answer comes in time, but a guest that starts its queues waits for all
// of them: together they have as long as one.
TEST_F(HostileBackEndTest, SlowAnswersHaveTheTimeOfOneTogether) {
  patience_ = absl::Milliseconds(200);
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kSetVringEnable)) {
      absl::SleepFor(patience_ * 0.6);
    }
    return Honest(request, Bit(ProtocolFeature::kReplyAck));
  });
  auto device = Create(std::make_unique<FrontEndVsock>(3, AllRngFeatures()));
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  (*device)->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  for (uint16_t i = 0; i < 3; ++i) {
    guest.StartQueue(**device, std::nullopt, i);
  }
  Await([&] { return guest.host.needs_reset.load(); });
}

// Whoever has the call descriptors can ring them for ever; the next back-end is
// looked for nevertheless.
TEST_F(HostileBackEndTest, RingingForEverKeepsNoOtherAway) {
  const std::string path = absl::StrCat("@annulus_ringing_", ::getpid());
  UniqueFd call;
  std::atomic<bool> have{false};
  Play([&](Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kSetVringCall)) {
      call = std::move(request.fds.at(0));
    }
    const bool last =
        request.request == static_cast<uint32_t>(Request::kSetVringEnable);
    if (last) have = true;
    return Honest(request, Bit(ProtocolFeature::kReplyAck)) && !last;
  });
  FrontEndOptions options;
  options.path = path;
  options.connection = std::move(ours_);
  options.reconnect_delay = absl::Milliseconds(20);
  auto device = FrontEndDevice::Create(
      std::move(options), std::make_unique<FrontEndRng>(AllRngFeatures()),
      NullLogSink());
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  Await([&] { return have.load(); });
  const auto server = RngServer(ListeningAt(path));
  const uint64_t one = 1;
  Await([&] {
    (void)!::write(call.get(), &one, sizeof(one));
    return (*device)->connections() == 2;
  });
}

// What a back-end may say of an inflight buffer that is none.
struct NoInflight {
  const char* name;
  InflightDescription description;
  bool eventfd = false;  // In place of a file of a page.
  int descriptors = 1;
};

class NoInflightTest : public HostileBackEndTest,
                       public ::testing::WithParamInterface<NoInflight> {};

TEST_P(NoInflightTest, IsRefused) {
  std::atomic<bool> given_back{false};
  Play([&](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetInflightFd)) {
      Message reply =
          MakeMessage(request.request, kFlagReply, GetParam().description);
      for (int i = 0; i < GetParam().descriptors; ++i) {
        UniqueFd fd(GetParam().eventfd ? ::eventfd(0, EFD_CLOEXEC)
                                       : ::memfd_create("x", MFD_CLOEXEC));
        (void)!::ftruncate(fd.get(), 4096);
        reply.fds.push_back(std::move(fd));
      }
      return Send(reply);
    }
    if (request.request == static_cast<uint32_t>(Request::kSetInflightFd)) {
      given_back = true;
    }
    return Honest(request, Bit(ProtocolFeature::kInflightShmfd));
  });
  auto device = Create();
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  Await([&] { return guest.host.needs_reset.load(); });
  EXPECT_FALSE(given_back);
}

INSTANTIATE_TEST_SUITE_P(
    All, NoInflightTest,
    testing::Values(
        NoInflight{"Eventfd", {.mmap_size = 64, .num_queues = 1}, true},
        NoInflight{"NoQueues", {.mmap_size = 64, .num_queues = 0}},
        NoInflight{"BeyondTheFile", {.mmap_size = 4097, .num_queues = 1}},
        NoInflight{
            "AtTheEndOfNumbers",
            {.mmap_size = 64, .mmap_offset = UINT64_MAX - 32, .num_queues = 1}},
        NoInflight{"Enormous", {.mmap_size = UINT64_MAX, .num_queues = 1}},
        NoInflight{"NoFile", {.mmap_size = 64, .num_queues = 1}, false, 0},
        NoInflight{"TwoFiles", {.mmap_size = 64, .num_queues = 1}, false, 2}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace annulus::vhost_user
