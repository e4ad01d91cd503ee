#include "vmm/net_resources.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/net/backend/tap_device.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"
#include "vmm/frame_switches.h"

namespace annulus {
namespace {

using Backend = NetConfig::Backend;

NetConfig Card(Backend backend) {
  NetConfig net;
  net.backend = backend;
  return net;
}

NetConfig Tap(const std::string& name) {
  NetConfig net = Card(Backend::kTap);
  net.tap = name;
  return net;
}

absl::StatusOr<NetResources> Open(absl::string_view card,
                                  const NetConfig& net) {
  FrameSwitches switches;
  return OpenNetResources(card, net, switches);
}

std::string ErrorOf(const NetConfig& net) {
  const absl::StatusOr<NetResources> resources = Open("net[3]", net);
  return resources.ok() ? "opened" : std::string(resources.status().message());
}

bool IsCloseOnExec(const UniqueFd& fd) {
  return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0;
}

std::string TempPath(absl::string_view name) {
  return absl::StrCat(::testing::TempDir(), "/", name, ".", ::getpid());
}

NET_NAMESPACE_TEST(NetResourcesTest, ATapIsOpenedByName) {
  virtio::RunCommand("ip tuntap add tap0 mode tap");
  const auto resources = Open("net[0]", Tap("tap0"));
  ASSERT_TRUE(resources.ok()) << resources.status();
  ASSERT_EQ(resources->taps.size(), 1u);
  EXPECT_TRUE(IsCloseOnExec(resources->taps[0]));
  const auto interface = virtio::DescribeTap(resources->taps[0].get());
  ASSERT_TRUE(interface.ok()) << interface.status();
  EXPECT_EQ(interface->name, "tap0");
  EXPECT_FALSE(resources->socket.valid());
  EXPECT_FALSE(resources->pcap.valid());
}

NET_NAMESPACE_TEST(NetResourcesTest, ATapIsMadeOnlyOnRequestAndGoesWithIt) {
  EXPECT_TRUE(absl::StartsWith(ErrorOf(Tap("tap0")), "net[3].tap: "))
      << ErrorOf(Tap("tap0"));
  EXPECT_TRUE(absl::StrContains(ErrorOf(Tap("tap0")), "tap0"));
  NetConfig made = Tap("tap0");
  made.create_tap = true;
  made.queue_pairs = 4;
  {
    const auto resources = Open("net[0]", made);
    ASSERT_TRUE(resources.ok()) << resources.status();
    EXPECT_EQ(resources->taps.size(), 4u);
    EXPECT_NE(::if_nametoindex("tap0"), 0u);
  }
  EXPECT_EQ(::if_nametoindex("tap0"), 0u);
}

NET_NAMESPACE_TEST(NetResourcesTest, MoreQueuesThanTheTapHasAreAnError) {
  virtio::RunCommand("ip tuntap add tap0 mode tap");
  NetConfig net = Tap("tap0");
  net.queue_pairs = 2;
  const std::string error = ErrorOf(net);
  EXPECT_TRUE(absl::StartsWith(error, "net[3].tap: ")) << error;
  EXPECT_TRUE(absl::StrContains(error, "multi_queue")) << error;
}

NET_NAMESPACE_TEST(NetResourcesTest, InheritedDescriptorsAreDuplicated) {
  auto taps =
      virtio::OpenTap({.name = "tap0", .queue_pairs = 2, .create = true});
  ASSERT_TRUE(taps.ok()) << taps.status();
  NetConfig net = Card(Backend::kTap);
  net.queue_pairs = 2;
  for (const UniqueFd& tap : *taps) {
    net.tap_fds.push_back(static_cast<uint32_t>(tap.get()));
  }
  const auto resources = Open("net[0]", net);
  ASSERT_TRUE(resources.ok()) << resources.status();
  taps->clear();
  ASSERT_EQ(resources->taps.size(), 2u);
  for (const UniqueFd& tap : resources->taps) {
    EXPECT_TRUE(IsCloseOnExec(tap));
    EXPECT_EQ(virtio::DescribeTap(tap.get())->name, "tap0");
  }
}

TEST(NetResourcesTest, ADescriptorThatIsNotOpenIsNamed) {
  NetConfig net = Card(Backend::kTap);
  net.tap_fds = {1 << 20};
  EXPECT_EQ(ErrorOf(net), "net[3].tap_fds: 1048576: Bad file descriptor");
}

TEST(NetResourcesTest, ADescriptorOfSomethingElseIsNamedAsGiven) {
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  NetConfig net = Card(Backend::kTap);
  net.tap_fds = {static_cast<uint32_t>(file.get())};
  const std::string error = ErrorOf(net);
  EXPECT_TRUE(absl::StartsWith(
      error, absl::StrCat("net[3].tap_fds: descriptor ", file.get(), " ")))
      << error;
}

TEST(NetResourcesTest, PasstIsConnected) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // Not in TempDir(), which may be longer than a socket's path.
  const std::string path = absl::StrCat("/tmp/net_resources_test.", ::getpid());
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  NetConfig net = Card(Backend::kPasst);
  net.passt = path;
  EXPECT_EQ(ErrorOf(net), absl::StrCat("net[3].passt: ", path,
                                       ": No such file or directory"));
  const void* const any = &address;
  ASSERT_EQ(::bind(listener.get(), static_cast<const sockaddr*>(any),
                   sizeof(address)),
            0);
  EXPECT_EQ(ErrorOf(net),
            absl::StrCat("net[3].passt: ", path, ": Connection refused"));
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const auto resources = Open("net[0]", net);
  ASSERT_TRUE(resources.ok()) << resources.status();
  EXPECT_TRUE(IsCloseOnExec(resources->socket));
  const UniqueFd peer(
      ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(peer.valid());
  ASSERT_EQ(::write(resources->socket.get(), "x", 1), 1);
  char byte = 0;
  ASSERT_EQ(::read(peer.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_TRUE(resources->taps.empty());
  ::unlink(path.c_str());
}

TEST(NetResourcesTest, LoopbackAndNullNeedNothing) {
  for (const Backend backend : {Backend::kLoopback, Backend::kNull}) {
    const auto resources = Open("net[0]", Card(backend));
    ASSERT_TRUE(resources.ok()) << resources.status();
    EXPECT_TRUE(resources->taps.empty());
    EXPECT_FALSE(resources->socket.valid());
  }
}

TEST(NetResourcesTest, PcapFileIsEmptyAndPrivate) {
  NetConfig net = Card(Backend::kNull);
  NetResources resources;
  ASSERT_TRUE(OpenPcap("net[0]", net, resources).ok());
  EXPECT_FALSE(resources.pcap.valid());
  net.pcap = TempPath("pcap");
  ASSERT_TRUE(OpenPcap("net[0]", net, resources).ok());
  ASSERT_TRUE(resources.pcap.valid());
  EXPECT_TRUE(IsCloseOnExec(resources.pcap));
  struct stat status;
  ASSERT_EQ(::fstat(resources.pcap.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 077, 0u);
  std::ofstream(net.pcap) << "old";
  ASSERT_TRUE(OpenPcap("net[0]", net, resources).ok());
  ASSERT_EQ(::fstat(resources.pcap.get(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
  ::unlink(net.pcap.c_str());
  net.pcap = "/dev/null";
  EXPECT_EQ(OpenPcap("net[3]", net, resources).message(),
            "net[3].pcap: /dev/null: not a regular file");
  net.pcap = "/no/such/directory/f";
  EXPECT_EQ(OpenPcap("net[3]", net, resources).message(),
            "net[3].pcap: /no/such/directory/f: No such file or directory");
}

TEST(NetResourcesTest, CardsOfOneNameShareASwitch) {
  FrameSwitches switches;
  NetConfig net = Card(Backend::kSwitch);
  net.switch_name = "lan0";
  const auto first = OpenNetResources("net[0]", net, switches);
  const auto second = OpenNetResources("net[1]", net, switches);
  net.switch_name = "lan1";
  const auto other = OpenNetResources("net[2]", net, switches);
  ASSERT_TRUE(first.ok() && second.ok() && other.ok());
  ASSERT_NE(first->frame_switch, nullptr);
  EXPECT_EQ(first->frame_switch, second->frame_switch);
  EXPECT_NE(first->frame_switch, other->frame_switch);
  // Of another configuration, the same name is another switch.
  net.switch_name = "lan0";
  const auto elsewhere = Open("net[0]", net);
  ASSERT_TRUE(elsewhere.ok());
  EXPECT_NE(first->frame_switch, elsewhere->frame_switch);
}

}  // namespace
}  // namespace annulus
