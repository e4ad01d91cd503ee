#include "devices/vhost_user/front_end/front_end_device.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/interrupt.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/plain_device.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::vhost_user {
namespace {

using virtio::FakeDriver;
using virtio::FeatureSet;

class CountingInterrupt final : public Interrupt {
 public:
  void Trigger() override { count_.fetch_add(1); }
  int count() const { return count_.load(); }

 private:
  std::atomic<int> count_{0};
};

class Host final : public virtio::DeviceHost {
 public:
  void ConfigChanged() override { changes.fetch_add(1); }
  void NeedsReset() override { needs_reset.store(true); }

  std::atomic<int> changes{0};
  std::atomic<bool> needs_reset{false};
};

// A test that hangs here has failed.
template <typename Condition>
void Await(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

UniqueFd Listen(const std::string& path) {
  ::unlink(path.c_str());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const void* const any = &address;
  EXPECT_EQ(
      ::bind(fd.get(), static_cast<const sockaddr*>(any), sizeof(address)), 0);
  EXPECT_EQ(::listen(fd.get(), 4), 0);
  return fd;
}

std::unique_ptr<BackEndServer> RngServer(UniqueFd listener) {
  auto rng = virtio::RngDevice::Create({}, NullLogSink());
  BackEndEndpoint endpoint;
  endpoint.listener = std::move(listener);
  auto server = BackEndServer::Create(
      {.name = "rng", .state_file = {}}, std::move(endpoint),
      std::make_unique<PlainBackEndDevice>(*std::move(rng)), NullLogSink());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// A guest's memory and one queue in it.
class Guest {
 public:
  explicit Guest(bool packed)
      : ram_(*memory::GuestRam::Create({.size = 1 << 20, .shared = true})),
        memory_(*memory::GuestMemory::Create(ram_.Regions())),
        driver_(memory_, {.packed = packed}) {
    for (const uint32_t bit :
         {virtio::kFeatureVersion1, virtio::kFeatureEventIdx,
          virtio::kFeatureIndirectDesc}) {
      features_.Add(bit);
    }
    if (packed) features_.Add(virtio::kFeatureRingPacked);
  }

  // As a transport that ends.
  ~Guest() {
    if (device_ != nullptr) device_->Reset();
  }

  void Start(virtio::VirtioDevice& device) {
    ASSERT_TRUE(features_.IsSubsetOf(device.offered_features()));
    device.Start(features_);
    StartQueue(device, std::nullopt);
  }

  void StartQueue(virtio::VirtioDevice& device,
                  std::optional<virtio::QueueState> resume) {
    virtio::QueueConfig config = driver_.config();
    config.features = features_;
    device_ = &device;
    device.StartQueue(0, {.config = config,
                          .memory = &memory_,
                          .notification = &notification_,
                          .interrupt = &interrupt,
                          .host = &host,
                          .resume = resume});
  }

  void Ask(uint32_t bytes) {
    ASSERT_TRUE(driver_.Chain().Writable(bytes).Offer().has_value());
    if (driver_.NeedsNotification()) notification_.Signal();
  }
  FakeDriver::Used Answer() {
    Await([this] { return driver_.HasUsed(); });
    return *driver_.GetUsed();
  }
  bool answered() { return driver_.HasUsed(); }

  CountingInterrupt interrupt;
  Host host;

 private:
  virtio::VirtioDevice* device_ = nullptr;
  memory::GuestRam ram_;
  memory::GuestMemory memory_;
  FakeDriver driver_;
  FeatureSet features_;
  EventFd notification_ = *EventFd::Create();
};

class FrontEndDeviceTest : public ::testing::TestWithParam<bool> {
 protected:
  FrontEndDeviceTest()
      : path_(absl::StrCat("/tmp/annulus_front_end_", ::getpid())) {}
  ~FrontEndDeviceTest() override { ::unlink(path_.c_str()); }

  std::unique_ptr<FrontEndDevice> Connect() {
    auto device =
        FrontEndDevice::Create({.name = "rng0",
                                .path = path_,
                                .connection = {},
                                .reconnect_delay = absl::Milliseconds(1),
                                .patience = patience_},
                               std::make_unique<FrontEndRng>(), NullLogSink());
    EXPECT_TRUE(device.ok()) << device.status();
    return *std::move(device);
  }

  const std::string path_;
  absl::Duration patience_ = absl::Seconds(20);
};

TEST_P(FrontEndDeviceTest, BackEndServesTheGuest) {
  const auto server = RngServer(Listen(path_));
  const auto device = Connect();
  EXPECT_EQ(device->device_id(), virtio::kDeviceIdEntropy);
  EXPECT_EQ(device->max_queue_sizes().size(), 1u);
  Guest guest(GetParam());
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
  const auto server = RngServer(Listen(path_));
  const auto device = Connect();
  Guest guest(GetParam());
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
  const auto server = RngServer(Listen(path_));
  const auto device = Connect();
  for (int i = 0; i < 3; ++i) {
    Guest guest(GetParam());
    guest.Start(*device);
    guest.Ask(10);
    EXPECT_EQ(guest.Answer().len, 10u);
    device->Reset();
  }
  EXPECT_EQ(device->connections(), 1u);
}

TEST_P(FrontEndDeviceTest, NextBackEndGoesOnWhereTheRingSays) {
  auto server = RngServer(Listen(path_));
  const auto device = Connect();
  Guest guest(GetParam());
  guest.Start(*device);
  for (uint64_t round = 1; round <= 5; ++round) {
    for (int i = 0; i < 7; ++i) {
      guest.Ask(64);
      EXPECT_EQ(guest.Answer().len, 64u);
    }
    EXPECT_EQ(device->connections(), round);
    server.reset();
    guest.Ask(32);  // While nobody is there.
    server = RngServer(Listen(path_));
    EXPECT_EQ(guest.Answer().len, 32u);
  }
  EXPECT_FALSE(guest.host.needs_reset);
}

TEST_P(FrontEndDeviceTest, WithoutBackEndQueueStopsAndStarts) {
  auto server = RngServer(Listen(path_));
  const auto device = Connect();
  Guest guest(GetParam());
  guest.Start(*device);
  server.reset();
  const std::optional<virtio::QueueState> state = device->StopQueue(0);
  // Of a packed ring, only the back-end knew.
  EXPECT_EQ(state.has_value(), !GetParam());
  device->Reset();
  Guest next(GetParam());
  next.Start(*device);
  next.Ask(5);
  server = RngServer(Listen(path_));
  EXPECT_EQ(next.Answer().len, 5u);
}

TEST_P(FrontEndDeviceTest, LostConnectionWithoutPathNeedsReset) {
  auto server = RngServer(Listen(path_));
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const void* const any = &address;
  ASSERT_EQ(::connect(connection.get(), static_cast<const sockaddr*>(any),
                      sizeof(address)),
            0);
  auto device = FrontEndDevice::Create(
      {.name = "rng0", .path = "", .connection = std::move(connection)},
      std::make_unique<FrontEndRng>(), NullLogSink());
  ASSERT_TRUE(device.ok()) << device.status();
  Guest guest(GetParam());
  guest.Start(**device);
  guest.Ask(5);
  EXPECT_EQ(guest.Answer().len, 5u);
  server.reset();
  Await([&] { return guest.host.needs_reset.load(); });
}

TEST_P(FrontEndDeviceTest, RingOutsideOfMemoryNeedsResetAndCostsNoConnection) {
  const auto server = RngServer(Listen(path_));
  const auto device = Connect();
  Guest guest(GetParam());
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

INSTANTIATE_TEST_SUITE_P(Rings, FrontEndDeviceTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Packed" : "Split";
                         });

TEST(FrontEndDeviceFailureTest, NobodyThere) {
  EXPECT_FALSE(
      FrontEndDevice::Create({.path = "/nonexistent/socket", .connection = {}},
                             std::make_unique<FrontEndRng>(), NullLogSink())
          .ok());
}

// A back-end that the test plays: it answers as it is told.
class HostileBackEndTest : public ::testing::Test {
 protected:
  HostileBackEndTest() {
    std::array<int, 2> ends;
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()),
              0);
    ours_.reset(ends[0]);
    peer_ = std::make_unique<MessageSocket>(UniqueFd(ends[1]));
  }

  // Plays `answer` for each request until it returns false.
  template <typename Answer>
  void Play(const Answer& answer) {
    thread_ = *Thread::Start("back-end", [this, answer] {
      for (;;) {
        absl::StatusOr<Message> request =
            peer_->Receive(stop_, absl::InfiniteDuration());
        if (!request.ok() || !answer(*request)) break;
      }
      peer_.reset();
    });
  }

  bool Reply(const Message& request, uint64_t value) {
    return peer_
        ->Send(MakeMessage(request.request, kFlagReply, value), stop_,
               absl::InfiniteDuration())
        .ok();
  }

  // An honest one, up to there.
  bool Honest(const Message& request, uint64_t protocol_features = 0) {
    switch (static_cast<Request>(request.request)) {
      case Request::kGetFeatures:
        return Reply(request, uint64_t{1} << 32 | uint64_t{1} << 30);
      case Request::kGetProtocolFeatures:
        return Reply(request, protocol_features);
      default:
        return !request.need_reply() || Reply(request, 0);
    }
  }

  absl::StatusOr<std::unique_ptr<FrontEndDevice>> Create(
      std::unique_ptr<FrontEndType> type = std::make_unique<FrontEndRng>()) {
    return FrontEndDevice::Create({.name = "card",
                                   .path = "",
                                   .connection = std::move(ours_),
                                   .patience = patience_},
                                  std::move(type), NullLogSink());
  }

  ~HostileBackEndTest() override { stop_.Signal(); }

  UniqueFd ours_;
  absl::Duration patience_ = absl::Seconds(20);
  EventFd stop_ = *EventFd::Create();
  std::unique_ptr<MessageSocket> peer_;
  Thread thread_;
};

TEST_F(HostileBackEndTest, SilentOneIsGivenUp) {
  patience_ = absl::Milliseconds(10);
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HostileBackEndTest, AnswerToSomethingElseIsRefused) {
  Play([this](const Message& request) {
    Message other;
    other.request = request.request + 1;
    return Reply(other, UINT64_MAX);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, AnswerOfOtherSizeIsRefused) {
  Play([this](const Message& request) {
    return peer_
        ->Send(MakeMessage(request.request, kFlagReply, uint32_t{0}), stop_,
               absl::InfiniteDuration())
        .ok();
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, BackEndOfBeforeVersion1IsRefused) {
  Play([this](const Message& request) {
    return Reply(request, uint64_t{1} << 30);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(HostileBackEndTest, TooManyQueuesAreRefused) {
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetQueueNum)) {
      return Reply(request, UINT64_MAX);
    }
    if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
      Message config = MakeMessage(request.request, kFlagReply, uint64_t{0});
      config.size = request.size;
      config.payload = request.payload;
      return peer_->Send(config, stop_, absl::InfiniteDuration()).ok();
    }
    return Honest(request, UINT64_MAX);
  });
  EXPECT_EQ(Create(std::make_unique<FrontEndNet>(FrontEndNet::Options{}))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, ConfigurationOfOtherSizeIsRefused) {
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
      return Reply(request, 0);
    }
    return Honest(request, Bit(ProtocolFeature::kConfig));
  });
  EXPECT_EQ(Create(std::make_unique<FrontEndVsock>(3)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

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
  Guest guest(/*packed=*/false);
  (*device)->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  guest.StartQueue(**device, std::nullopt);
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
  Guest guest(/*packed=*/false);
  (*device)->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  guest.StartQueue(**device, std::nullopt);
  Await([&] { return guest.host.needs_reset.load(); });
}

TEST_F(HostileBackEndTest, InflightBufferThatIsNoneIsRefused) {
  std::atomic<bool> given_back{false};
  Play([&](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetInflightFd)) {
      Message reply =
          MakeMessage(request.request, kFlagReply,
                      InflightDescription{.mmap_size = 64, .num_queues = 1});
      reply.fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
      return peer_->Send(reply, stop_, absl::InfiniteDuration()).ok();
    }
    if (request.request == static_cast<uint32_t>(Request::kSetInflightFd)) {
      given_back = true;
    }
    return Honest(request, Bit(ProtocolFeature::kInflightShmfd));
  });
  auto device = Create();
  ASSERT_TRUE(device.ok()) << device.status();
  Guest guest(/*packed=*/false);
  (*device)->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  guest.StartQueue(**device, std::nullopt);
  Await([&] { return guest.host.needs_reset.load(); });
  EXPECT_FALSE(given_back);
}

TEST_F(HostileBackEndTest, ConfigurationChangeReachesTheDriver) {
  UniqueFd requests;
  std::atomic<bool> have{false};
  std::atomic<uint8_t> cid{3};
  Play([&](Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
      Message config = MakeMessage(request.request, kFlagReply, uint64_t{0});
      config.size = request.size;
      config.payload = request.payload;
      config.payload[sizeof(ConfigDescription)] = cid;
      return peer_->Send(config, stop_, absl::InfiniteDuration()).ok();
    }
    if (request.request == static_cast<uint32_t>(Request::kSetBackendReqFd)) {
      requests = std::move(request.fds[0]);
      have = true;
    }
    return Honest(request, Bit(ProtocolFeature::kReplyAck) |
                               Bit(ProtocolFeature::kConfig) |
                               Bit(ProtocolFeature::kBackendReq));
  });
  auto device = Create(std::make_unique<FrontEndVsock>(9));
  ASSERT_TRUE(device.ok()) << device.status();
  Guest guest(/*packed=*/false);
  (*device)->Start(FeatureSet::Of(virtio::kFeatureVersion1));
  guest.StartQueue(**device, std::nullopt);
  std::array<uint8_t, 8> config;
  (*device)->ReadConfig(0, absl::MakeSpan(config));
  EXPECT_EQ(config[0], 3);
  const uint32_t generation = (*device)->config_generation();
  cid = 7;
  ASSERT_TRUE(have);
  MessageSocket channel(std::move(requests));
  Message change;
  change.request = static_cast<uint32_t>(BackEndRequest::kConfigChange);
  change.flags |= kFlagNeedReply;
  ASSERT_TRUE(channel.Send(change, stop_, absl::InfiniteDuration()).ok());
  const auto reply = channel.Receive(stop_, absl::InfiniteDuration());
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->Payload<uint64_t>(), 0u);
  Await([&] { return guest.host.changes.load() == 1; });
  (*device)->ReadConfig(0, absl::MakeSpan(config));
  EXPECT_EQ(config[0], 7);
  EXPECT_NE((*device)->config_generation(), generation);
  // What it does not know is refused, and no more.
  change.request = 4711;
  ASSERT_TRUE(channel.Send(change, stop_, absl::InfiniteDuration()).ok());
  EXPECT_EQ(
      channel.Receive(stop_, absl::InfiniteDuration())->Payload<uint64_t>(),
      1u);
  EXPECT_FALSE(guest.host.needs_reset);
}

}  // namespace
}  // namespace annulus::vhost_user
