// A card of a VM that another process would serve: here a back-end of this one,
// over a socket and shared memory. The guest shares no code with either.

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log_sink.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::Values;

// Frames come back; header-split receive is offered.
std::unique_ptr<vhost_user::BackEndServer> LoopbackServer(
    vhost_user::BackEndEndpoint endpoint, uint16_t pairs) {
  virtio::NetOptions options;
  options.queue_pairs = pairs;
  options.features = virtio::AllNetFeatures();
  options.front_end_controls = true;
  options.header_split.offered = pairs == 1;
  auto backend = virtio::LoopbackBackend::Create(pairs);
  EXPECT_TRUE(backend.ok()) << backend.status();
  auto device =
      virtio::NetDevice::Create(options, *std::move(backend), NullLogSink());
  EXPECT_TRUE(device.ok()) << device.status();
  auto server = vhost_user::BackEndServer::Create(
      {.name = "net0", .state_file = {}}, std::move(endpoint),
      std::make_unique<vhost_user::NetBackEndDevice>(*std::move(device)),
      NullLogSink());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// Where it listens; the file goes with it.
virtio::BoundSocket Listen() {
  auto socket = virtio::BoundSocket::Listen(
      SOCK_STREAM, absl::StrCat("/tmp/annulus_card_", ::getpid()));
  EXPECT_TRUE(socket.ok()) << socket.status();
  return *std::move(socket);
}

NetConfig CardAt(TransportKind transport) {
  NetConfig net;
  net.virtio.transport = transport;
  net.backend = NetConfig::Backend::kVhostUser;
  net.vhost_user.socket = absl::StrCat("/tmp/annulus_card_", ::getpid());
  return net;
}

vhost_user::BackEndEndpoint Listening(const virtio::BoundSocket& socket) {
  vhost_user::BackEndEndpoint endpoint;
  endpoint.listener.reset(::dup(socket.fd()));
  return endpoint;
}

class VhostUserCardTest
    : public testing::TestWithParam<
          std::tuple<TransportKind, const char*, const char*>> {};

TEST_P(VhostUserCardTest, GuestsFramesGoToTheBackEndAndComeBack) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, ring, method] = GetParam();
  const virtio::BoundSocket socket = Listen();
  const auto server = LoopbackServer(Listening(socket), 1);
  VmConfig config = MicroguestConfig("header_split");
  config.net.push_back(CardAt(transport));
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=", ring, " method=", method, " rounds=20");
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("split 20,"));
}

INSTANTIATE_TEST_SUITE_P(All, VhostUserCardTest,
                         Combine(Values(TransportKind::kMmio,
                                        TransportKind::kPci),
                                 Values("packed", "split"), Values("A", "Q")));

class VhostUserQueuesTest
    : public testing::TestWithParam<std::tuple<TransportKind, const char*>> {};

TEST_P(VhostUserQueuesTest, EachOfFourPairsHasItsFramesBack) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, ring] = GetParam();
  const virtio::BoundSocket socket = Listen();
  const auto server = LoopbackServer(Listening(socket), 4);
  VmConfig config = MicroguestConfig("net_echo");
  config.net.push_back(CardAt(transport));
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=", ring, " pairs=4 rounds=20");
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("echoed 20 on 4"));
}

INSTANTIATE_TEST_SUITE_P(All, VhostUserQueuesTest,
                         Combine(Values(TransportKind::kMmio,
                                        TransportKind::kPci),
                                 Values("packed", "split")));

}  // namespace
}  // namespace annulus
