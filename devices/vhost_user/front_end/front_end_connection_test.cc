// FrontEndDevice: back-ends that come and go.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/vhost_user/front_end/front_end_testing.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

// Keeps what is logged.
class LogLines final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view line) override {
    MutexLock lock(mu_);
    lines_.emplace_back(line);
  }
  bool Has(absl::string_view line) const {
    MutexLock lock(mu_);
    return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
  }

 private:
  mutable Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

// That each of several servers, one after the other, goes on where the one
// before it was.
template <typename Next>
void ExpectServedByEach(const FrontEndDevice& device, FrontEndGuest& guest,
                        std::unique_ptr<BackEndServer>& server,
                        const Next& next) {
  for (uint64_t round = 1; round <= 5; ++round) {
    for (int i = 0; i < 7; ++i) {
      guest.Ask(64);
      EXPECT_EQ(guest.Answer().len, 64u);
    }
    EXPECT_EQ(device.connections(), round);
    server.reset();
    guest.Ask(32);  // While nobody is there.
    server = next();
    EXPECT_EQ(guest.Answer().len, 32u);
  }
  EXPECT_FALSE(guest.host.needs_reset);
}

TEST_P(FrontEndDeviceTest, NextBackEndGoesOnWhereTheRingSays) {
  auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  ExpectServedByEach(*device, guest, server,
                     [this] { return RngServer(ListeningAt(path_)); });
}

TEST_P(FrontEndDeviceTest, WithoutBackEndQueueStopsAndStarts) {
  auto server = RngServer(ListeningAt(path_));
  const auto device = Connect();
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  server.reset();
  const std::optional<virtio::QueueState> state = device->StopQueue(0);
  // Of a packed ring, only the back-end knew.
  EXPECT_EQ(state.has_value(), !GetParam());
  device->Reset();
  FrontEndGuest next(GetParam());
  next.Start(*device);
  next.Ask(5);
  server = RngServer(ListeningAt(path_));
  EXPECT_EQ(next.Answer().len, 5u);
}

TEST_P(FrontEndDeviceTest, LostConnectionWithoutPathNeedsReset) {
  auto server = RngServer(ListeningAt(path_));
  const auto address = virtio::UnixAddress::Create(path_);
  FrontEndOptions options = Options();
  options.path.clear();
  options.connection.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(
      ::connect(options.connection.get(), address->get(), address->size()), 0);
  const auto device = Create(std::move(options));
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  guest.Ask(5);
  EXPECT_EQ(guest.Answer().len, 5u);
  server.reset();
  Await([&] { return guest.host.needs_reset.load(); });
}

// The same the other way around: here the front-end listens.
class ListeningFrontEndTest : public FrontEndDeviceTest {
 protected:
  FrontEndOptions ListeningOptions() const {
    FrontEndOptions options = Options();
    options.path.clear();
    options.listener = std::move(ListeningAt(path_).listener);
    return options;
  }

  std::unique_ptr<BackEndServer> ConnectingServer() const {
    BackEndEndpoint endpoint;
    endpoint.connect_path = path_;
    return RngServer(std::move(endpoint));
  }
};

TEST_P(ListeningFrontEndTest, NextBackEndThatConnectsGoesOn) {
  FrontEndOptions options = ListeningOptions();
  auto server = ConnectingServer();
  const auto device = Create(std::move(options));
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  ExpectServedByEach(*device, guest, server,
                     [this] { return ConnectingServer(); });
}

TEST_P(ListeningFrontEndTest, BackEndThatComesLaterIsAwaited) {
  LogLines log;
  FrontEndOptions options = ListeningOptions();
  std::unique_ptr<FrontEndDevice> device;
  Thread creation = *Thread::Start("create", [&] {
    auto created = FrontEndDevice::Create(
        std::move(options), std::make_unique<FrontEndRng>(AllRngFeatures()),
        log);
    EXPECT_TRUE(created.ok()) << created.status();
    if (created.ok()) device = *std::move(created);
  });
  Await([&] { return log.Has("rng0: waits for its back-end"); });
  // Those who only look whether somebody listens are none.
  for (int i = 0; i < 3; ++i) {
    const auto address = virtio::UnixAddress::Create(path_);
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(probe.get(), address->get(), address->size()), 0);
  }
  const auto server = ConnectingServer();
  creation.Join();
  ASSERT_NE(device, nullptr);
  FrontEndGuest guest(GetParam());
  guest.Start(*device);
  guest.Ask(5);
  EXPECT_EQ(guest.Answer().len, 5u);
}

INSTANTIATE_TEST_SUITE_P(Rings, FrontEndDeviceTest, testing::Bool(), RingName);
INSTANTIATE_TEST_SUITE_P(Rings, ListeningFrontEndTest, testing::Bool(),
                         RingName);

absl::Status CreationOf(FrontEndOptions options) {
  return FrontEndDevice::Create(std::move(options),
                                std::make_unique<FrontEndRng>(AllRngFeatures()),
                                NullLogSink())
      .status();
}

TEST(FrontEndConnectionTest, NobodyWhoListensIsAnErrorAtOnce) {
  FrontEndOptions options;
  options.path = "/nonexistent/socket";
  EXPECT_EQ(CreationOf(std::move(options)).message(),
            "connecting to /nonexistent/socket: No such file or directory");
}

TEST(FrontEndConnectionTest, NobodyWhoConnectsIsAnErrorInTime) {
  const std::string path = absl::StrCat("@annulus_front_end_", ::getpid());
  FrontEndOptions options;
  options.listener = std::move(ListeningAt(path).listener);
  options.first_wait = absl::Milliseconds(20);
  const absl::Status status = CreationOf(std::move(options));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(), "no back-end has connected for 20ms");
}

}  // namespace
}  // namespace annulus::vhost_user
