// The socket device over both transports: a guest that shares no code with it
// talks with programs of the host, also after it has broken every rule.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/hand_over.h"
#include "devices/virtio/vsock/backend/hand_over_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::StartsWith;
using testing::Values;

constexpr int kHostPort = 1234;
constexpr int kHostDatagramPort = 77;
constexpr size_t kMessageBytes = 300;

// Abstract names: nothing is left of them.
sockaddr_un AddressOf(absl::string_view name, socklen_t& bytes) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  EXPECT_LT(name.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

UniqueFd Bound(int type, absl::string_view name) {
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  socklen_t bytes = 0;
  const sockaddr_un address = AddressOf(name, bytes);
  EXPECT_EQ(::bind(socket.get(), Generic(address), bytes), 0) << name;
  return socket;
}

UniqueFd Connected(int type, absl::string_view name) {
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  socklen_t bytes = 0;
  const sockaddr_un address = AddressOf(name, bytes);
  EXPECT_EQ(::connect(socket.get(), Generic(address), bytes), 0) << name;
  return socket;
}

void SendAll(const UniqueFd& socket, absl::string_view text) {
  EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// One recv(2).
std::string Receive(const UniqueFd& socket) {
  std::string buffer(4096, 0);
  const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  buffer.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return buffer;
}

// A program of the host that sends back what it receives, to one caller after
// the other.
class EchoServer {
 public:
  EchoServer(int type, absl::string_view name) : listener_(Bound(type, name)) {
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~EchoServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // Ends accept(2).
    thread_.join();
  }

 private:
  void Run() const {
    while (true) {
      const UniqueFd caller(
          ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!caller.valid()) return;
      char buffer[4096];
      ssize_t count;
      while ((count = ::recv(caller.get(), buffer, sizeof(buffer), 0)) > 0) {
        if (::send(caller.get(), buffer, static_cast<size_t>(count),
                   MSG_NOSIGNAL) != count) {
          break;
        }
      }
    }
  }

  const UniqueFd listener_;
  std::thread thread_;
};

struct Features {
  const char* name;
  bool seqpacket;
  bool mrg_rxbuf;
  bool dgram;

  friend void PrintTo(const Features& features, std::ostream* out) {
    *out << features.name;
  }
};
constexpr Features kStream = {"stream", false, false, false};
constexpr Features kSeqpacket = {"seqpacket", true, false, false};
constexpr Features kMerged = {"merged", false, true, false};
constexpr Features kMergedSeqpacket = {"merged seqpacket", true, true, false};
constexpr Features kDatagrams = {"datagrams", false, false, true};
constexpr Features kAll = {"all", false, true, true};

// The same in each test: they are not run at the same time in one process.
std::string SocketName() {
  return absl::StrCat("@annulus-vsock-test-", ::getpid());
}

VmConfig ConfigOf(TransportKind transport, absl::string_view ring,
                  const Features& features, absl::string_view program) {
  VmConfig config = MicroguestConfig(program);
  VsockConfig vsock;
  vsock.virtio.transport = transport;
  vsock.cid = 3;
  vsock.socket = SocketName();
  vsock.mrg_rxbuf = features.mrg_rxbuf;
  vsock.dgram = features.dgram;
  config.vsock = vsock;
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=", ring, " mrg=", features.mrg_rxbuf ? 1 : 0,
                  " dgram=", features.dgram ? 1 : 0,
                  " type=", features.seqpacket ? "seqpacket" : "stream");
  return config;
}

std::string Message() {
  std::string message(kMessageBytes, 0);
  for (size_t i = 0; i < message.size(); ++i) {
    message[i] = static_cast<char>(i * 13);
  }
  return message;
}

// Of a socket that is connected to the guest, which sends back what it gets.
void ExpectEcho(const UniqueFd& socket) {
  const std::string message = Message();
  SendAll(socket, message);
  ASSERT_EQ(::shutdown(socket.get(), SHUT_WR), 0);
  std::string back;
  while (true) {
    const std::string more = Receive(socket);
    if (more.empty()) break;
    back += more;
  }
  EXPECT_EQ(back, message);
}

// Calls the guest, and says where what it sends ends.
void CallGuest(const Features& features) {
  const UniqueFd socket =
      features.seqpacket
          ? Connected(SOCK_SEQPACKET, SocketName() + "_seqpacket")
          : Connected(SOCK_STREAM, SocketName());
  SendAll(socket, "CONNECT 5678\n");
  EXPECT_THAT(Receive(socket), StartsWith("OK "));
  ExpectEcho(socket);
}

// Returns the guest's datagram as it is.
void AnswerDatagram(const UniqueFd& socket) {
  const std::string datagram = Receive(socket);
  ASSERT_THAT(datagram, StartsWith("PORT 7\n"));
  EXPECT_EQ(datagram.size(), std::strlen("PORT 7\n") + kMessageBytes);
  socklen_t bytes = 0;
  const sockaddr_un address = AddressOf(SocketName() + "_dgram", bytes);
  EXPECT_EQ(::sendto(socket.get(), datagram.data(), datagram.size(), 0,
                     Generic(address), bytes),
            static_cast<ssize_t>(datagram.size()));
}

class VsockTest : public testing::TestWithParam<
                      std::tuple<TransportKind, const char*, Features>> {};

TEST_P(VsockTest, GuestTalksWithProgramsOfTheHost) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, ring, features] = GetParam();
  const std::string name = SocketName();
  const EchoServer server(features.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM,
                          absl::StrCat(name, "_", kHostPort));
  UniqueFd datagrams;
  if (features.dgram) {
    datagrams =
        Bound(SOCK_DGRAM, absl::StrCat(name, "_dgram_", kHostDatagramPort));
  }
  auto guest = GuestVm::Create(ConfigOf(transport, ring, features, "vsock"));
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput("listening")) << (*guest)->Output();
  CallGuest(features);
  if (features.dgram) AnswerDatagram(datagrams);
  GuestResult result;
  result.exit = (*guest)->Finish();
  result.output = (*guest)->Output();
  ExpectPass(result);
  // Each message is one packet of several buffers, if these are merged.
  EXPECT_THAT(result.output,
              HasSubstr(absl::StrCat("calls 3, served 300, merged ",
                                     features.mrg_rxbuf ? 4 : 0, ", datagrams ",
                                     features.dgram ? 1 : 0)));
}

INSTANTIATE_TEST_SUITE_P(All, VsockTest,
                         Combine(Values(TransportKind::kMmio,
                                        TransportKind::kPci),
                                 Values("packed", "split"),
                                 Values(kStream, kSeqpacket, kMerged,
                                        kMergedSeqpacket, kDatagrams, kAll)));

class VsockHandOverTest : public testing::TestWithParam<Features> {};

// No path, no name: what the VM has of the host are two descriptors.
TEST_P(VsockHandOverTest, GuestTalksWithProgramsThatKnowDescriptorsAlone) {
  SKIP_WITHOUT_KVM();
  const Features& features = GetParam();
  const int type = features.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]);
  // Ends with the VM.
  auto echo = std::async(std::launch::async,
                         [theirs = std::make_shared<UniqueFd>(ends[1])] {
                           return virtio::EchoHandedOver(*theirs);
                         });
  const UniqueFd listener = Bound(type, SocketName());
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  VmConfig config = ConfigOf(TransportKind::kPci, "packed", features, "vsock");
  VsockConfig& vsock = *config.vsock;
  vsock.socket = "";
  vsock.host_fd = static_cast<uint32_t>(ours.get());
  VsockPortConfig& port = vsock.ports.emplace_back();
  port.port = 5678;
  port.direction = VsockPortConfig::Direction::kToGuest;
  if (features.seqpacket) port.type = VsockPortConfig::Type::kSeqpacket;
  port.fd = static_cast<uint32_t>(listener.get());
  auto guest = GuestVm::Create(config);
  ASSERT_TRUE(guest.ok()) << guest.status();
  ours.reset();  // The VM has a duplicate.
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput("listening")) << (*guest)->Output();
  ExpectEcho(Connected(type, SocketName()));
  GuestResult result;
  result.exit = (*guest)->Finish();
  result.output = (*guest)->Output();
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("calls 3, served 300"));
  const std::vector<virtio::HandOverMessage> taken = echo.get();
  ASSERT_EQ(taken.size(), 3u);
  for (const virtio::HandOverMessage& message : taken) {
    EXPECT_EQ(message.guest_cid, 3u);
    EXPECT_EQ(message.port, static_cast<uint32_t>(kHostPort));
    EXPECT_EQ(message.type, features.seqpacket ? 2 : 1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, VsockHandOverTest, Values(kStream, kSeqpacket));

class VsockHostileTest
    : public testing::TestWithParam<std::tuple<TransportKind, Features>> {};

TEST_P(VsockHostileTest, DeviceWorksAfterEveryBreach) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, features] = GetParam();
  const EchoServer server(SOCK_STREAM,
                          absl::StrCat(SocketName(), "_", kHostPort));
  const GuestResult result =
      RunGuest(ConfigOf(transport, "packed", features, "vsock_hostile"));
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("breach: random descriptors"));
}

INSTANTIATE_TEST_SUITE_P(All, VsockHostileTest,
                         Combine(Values(TransportKind::kMmio,
                                        TransportKind::kPci),
                                 Values(kStream, kMerged, kAll)));

}  // namespace
}  // namespace annulus
