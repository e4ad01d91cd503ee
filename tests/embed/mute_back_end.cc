#include "tests/embed/mute_back_end.h"

#include <sys/socket.h>

#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "tests/embed/guest_parts.h"
#include "tests/kvm/guest_vm.h"

namespace annulus {
namespace {

constexpr uint64_t kForever = 1'000'000'000;  // Rounds.

std::pair<UniqueFd, UniqueFd> SocketPair() {
  int ends[2];
  ANNULUS_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ==
                0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::unique_ptr<vhost_user::BackEndServer> Serve(UniqueFd connection) {
  virtio::NetOptions options;
  options.features = virtio::AllNetFeatures();
  options.front_end_controls = true;
  auto backend = virtio::LoopbackBackend::Create(1);
  ANNULUS_CHECK(backend.ok());
  auto device =
      virtio::NetDevice::Create(options, *std::move(backend), NullLogSink());
  ANNULUS_CHECK(device.ok());
  vhost_user::BackEndEndpoint endpoint;
  endpoint.connection = std::move(connection);
  auto server = vhost_user::BackEndServer::Create(
      {.name = "net0", .state_file = {}}, std::move(endpoint),
      std::make_unique<vhost_user::NetBackEndDevice>(*std::move(device)),
      NullLogSink());
  ANNULUS_CHECK(server.ok());
  return *std::move(server);
}

}  // namespace

MuteBackEnd::MuteBackEnd(std::function<bool(const vhost_user::Message&)> hears)
    : hears_(std::move(hears)), stop_(*EventFd::Create()) {
  auto [theirs, front] = SocketPair();
  auto [back, served] = SocketPair();
  connection_ = std::move(theirs);
  front_ = std::make_unique<vhost_user::MessageSocket>(std::move(front));
  back_ = std::make_unique<vhost_user::MessageSocket>(std::move(back));
  server_ = Serve(std::move(served));
  forward_ = std::thread([this] { Forward(); });
  answer_ = std::thread([this] { Answer(); });
}

MuteBackEnd::~MuteBackEnd() {
  stop_.Signal();
  forward_.join();
  answer_.join();
}

absl::StatusOr<std::unique_ptr<Vmm>> MuteBackEnd::CreateVm() {
  VmConfig config = NetConfigOf(TransportKind::kPci,
                                NetConfig::Backend::kVhostUser, kForever);
  config.net[0].vhost_user.fd = 100;  // Resources has it.
  Resources resources = OpenMicroguest(kMicroguest);
  resources.net.resize(1);
  resources.net[0].vhost_user.connection = std::move(connection_);
  return Vmm::Create(config, std::move(resources));
}

void MuteBackEnd::AwaitMute() {
  MutexLock lock(mu_);
  while (!mute_) changed_.Wait(mu_);
}

void MuteBackEnd::Forward() {
  while (true) {
    auto request = front_->Receive(stop_, absl::InfiniteDuration());
    if (!request.ok()) return;
    if (hears_(*request)) break;
    if (!back_->Send(*request, stop_, absl::InfiniteDuration()).ok()) return;
  }
  MutexLock lock(mu_);
  mute_ = true;
  changed_.NotifyAll();
}

void MuteBackEnd::Answer() {
  while (true) {
    auto reply = back_->Receive(stop_, absl::InfiniteDuration());
    if (!reply.ok()) return;
    if (!front_->Send(*reply, stop_, absl::InfiniteDuration()).ok()) return;
  }
}

}  // namespace annulus
