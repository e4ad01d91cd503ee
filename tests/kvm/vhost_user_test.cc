// A card of a VM that another process would serve: here a back-end of this one,
// over a socket and shared memory. The guest shares no code with either.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::Values;

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

// Frames come back; header-split receive is offered.
std::unique_ptr<vhost_user::BackEndServer> LoopbackServer(UniqueFd listener) {
  virtio::NetOptions options;
  options.features = virtio::AllNetFeatures();
  options.front_end_controls = true;
  options.header_split.offered = true;
  auto backend = virtio::LoopbackBackend::Create(1);
  EXPECT_TRUE(backend.ok()) << backend.status();
  auto device =
      virtio::NetDevice::Create(options, *std::move(backend), NullLogSink());
  EXPECT_TRUE(device.ok()) << device.status();
  vhost_user::BackEndEndpoint endpoint;
  endpoint.listener = std::move(listener);
  auto server = vhost_user::BackEndServer::Create(
      {.name = "net0", .state_file = {}}, std::move(endpoint),
      std::make_unique<vhost_user::NetBackEndDevice>(*std::move(device)),
      NullLogSink());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

class VhostUserCardTest
    : public testing::TestWithParam<
          std::tuple<TransportKind, const char*, const char*>> {};

TEST_P(VhostUserCardTest, GuestsFramesGoToTheBackEndAndComeBack) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, ring, method] = GetParam();
  const std::string path = absl::StrCat("/tmp/annulus_card_", ::getpid());
  const auto server = LoopbackServer(Listen(path));
  VmConfig config = MicroguestConfig("header_split");
  NetConfig net;
  net.virtio.transport = transport;
  net.backend = NetConfig::Backend::kVhostUser;
  net.vhost_user = path;
  config.net.push_back(net);
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=", ring, " method=", method, " rounds=20");
  const GuestResult result = RunGuest(config);
  ::unlink(path.c_str());
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("split 20,"));
}

INSTANTIATE_TEST_SUITE_P(All, VhostUserCardTest,
                         Combine(Values(TransportKind::kMmio,
                                        TransportKind::kPci),
                                 Values("packed", "split"), Values("A", "Q")));

}  // namespace
}  // namespace annulus
