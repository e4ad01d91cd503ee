#ifndef DEVICES_VHOST_USER_FRONT_END_FRONT_END_TESTING_H_
#define DEVICES_VHOST_USER_FRONT_END_FRONT_END_TESTING_H_

#include <sys/socket.h>
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
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// What the tests of FrontEndDevice beside this file share: a guest in front of
// it, a back-end of ours behind it, and one that a test plays.

namespace annulus::vhost_user {

class CountingInterrupt final : public Interrupt {
 public:
  void Trigger() override { count_.fetch_add(1); }
  int count() const { return count_.load(); }

 private:
  std::atomic<int> count_{0};
};

class RecordingHost final : public virtio::DeviceHost {
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

// What a test's devices may offer: all of an entropy device.
inline virtio::FeatureSet AllRngFeatures() {
  return virtio::FeatureSet::Of(
      virtio::kFeatureVersion1, virtio::kFeatureEventIdx,
      virtio::kFeatureIndirectDesc, virtio::kFeatureRingPacked,
      virtio::kFeatureInOrder);
}

// A socket of that name, whose file is left behind, as of a process that is
// killed.
inline BackEndEndpoint ListeningAt(const std::string& path) {
  ::unlink(path.c_str());
  const auto address = virtio::UnixAddress::Create(path);
  BackEndEndpoint endpoint;
  endpoint.listener.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(endpoint.listener.get(), address->get(), address->size()),
            0);
  EXPECT_EQ(::listen(endpoint.listener.get(), 4), 0);
  return endpoint;
}

// Random bytes for who comes.
inline std::unique_ptr<BackEndServer> RngServer(BackEndEndpoint endpoint) {
  auto rng = virtio::RngDevice::Create({}, NullLogSink());
  auto server = BackEndServer::Create(
      {.name = "rng",
       .state_file = {},
       .reconnect_delay = absl::Milliseconds(1)},
      std::move(endpoint),
      std::make_unique<PlainBackEndDevice>(*std::move(rng)), NullLogSink());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// A guest's memory and one queue in it.
class FrontEndGuest {
 public:
  explicit FrontEndGuest(bool packed)
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
  ~FrontEndGuest() {
    if (device_ != nullptr) device_->Reset();
  }

  void Start(virtio::VirtioDevice& device) {
    ASSERT_TRUE(features_.IsSubsetOf(device.offered_features()));
    device.Start(features_);
    StartQueue(device, std::nullopt);
  }

  // As a driver that takes VERSION_1 alone.
  void StartPlain(virtio::VirtioDevice& device) {
    device.Start(virtio::FeatureSet::Of(virtio::kFeatureVersion1));
    StartQueue(device, std::nullopt);
  }

  void StartQueue(virtio::VirtioDevice& device,
                  std::optional<virtio::QueueState> resume,
                  uint16_t index = 0) {
    virtio::QueueConfig config = driver_.config();
    config.features = features_;
    device_ = &device;
    device.StartQueue(index, {.config = config,
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
  virtio::FakeDriver::Used Answer() {
    Await([this] { return driver_.HasUsed(); });
    return *driver_.GetUsed();
  }
  bool answered() { return driver_.HasUsed(); }
  int notification_fd() const { return notification_.fd(); }

  CountingInterrupt interrupt;
  RecordingHost host;

 private:
  virtio::VirtioDevice* device_ = nullptr;
  memory::GuestRam ram_;
  memory::GuestMemory memory_;
  virtio::FakeDriver driver_;
  virtio::FeatureSet features_;
  EventFd notification_ = *EventFd::Create();
};

// A back-end of ours at a path, and a guest; split rings, and packed ones.
class FrontEndDeviceTest : public ::testing::TestWithParam<bool> {
 protected:
  FrontEndDeviceTest()
      : path_(absl::StrCat("/tmp/annulus_front_end_", ::getpid())) {}
  ~FrontEndDeviceTest() override { ::unlink(path_.c_str()); }

  FrontEndOptions Options() const {
    FrontEndOptions options;
    options.name = "rng0";
    options.path = path_;
    options.reconnect_delay = absl::Milliseconds(1);
    options.patience = absl::Seconds(20);
    return options;
  }

  static std::unique_ptr<FrontEndDevice> Create(FrontEndOptions options) {
    auto device = FrontEndDevice::Create(
        std::move(options), std::make_unique<FrontEndRng>(AllRngFeatures()),
        NullLogSink());
    EXPECT_TRUE(device.ok()) << device.status();
    return *std::move(device);
  }
  std::unique_ptr<FrontEndDevice> Connect() const { return Create(Options()); }

  const std::string path_;
};

inline std::string RingName(const testing::TestParamInfo<bool>& info) {
  return info.param ? "Packed" : "Split";
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
    return Send(MakeMessage(request.request, kFlagReply, value));
  }

  bool Send(const Message& message) {
    return peer_->Send(message, stop_, absl::InfiniteDuration()).ok();
  }

  // An answer to GET_CONFIG: bytes as they were asked for, with this first one.
  bool ReplyConfig(const Message& request, uint8_t first = 0) {
    Message config = MakeMessage(request.request, kFlagReply, uint64_t{0});
    config.size = request.size;
    config.payload = request.payload;
    config.payload[sizeof(ConfigDescription)] = first;
    return Send(config);
  }

  // An honest one, up to there.
  bool Honest(const Message& request, uint64_t protocol_features = 0) {
    switch (static_cast<Request>(request.request)) {
      case Request::kGetFeatures:
        return Reply(request, uint64_t{1} << 32 | uint64_t{1} << 30);
      case Request::kGetProtocolFeatures:
        return Reply(request, protocol_features);
      case Request::kGetVringBase:
        return Send(MakeMessage(request.request, kFlagReply,
                                *request.Payload<VringState>()));
      default:
        return !request.need_reply() || Reply(request, 0);
    }
  }

  absl::StatusOr<std::unique_ptr<FrontEndDevice>> Create(
      std::unique_ptr<FrontEndType> type =
          std::make_unique<FrontEndRng>(AllRngFeatures())) {
    FrontEndOptions options;
    options.name = "card";
    options.connection = std::move(ours_);
    options.patience = patience_;
    return FrontEndDevice::Create(std::move(options), std::move(type),
                                  NullLogSink());
  }

  ~HostileBackEndTest() override { stop_.Signal(); }

  UniqueFd ours_;
  absl::Duration patience_ = absl::Seconds(20);
  EventFd stop_ = *EventFd::Create();
  std::unique_ptr<MessageSocket> peer_;
  Thread thread_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_FRONT_END_FRONT_END_TESTING_H_
