// The real passt(1), over a real socket, in a network namespace of its own.

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/net/backend/passt_backend.h"
#include "gtest/gtest.h"

extern char** environ;

namespace annulus::virtio {
namespace {

using Bytes = std::vector<uint8_t>;

// Started by Start(), killed by the destructor.
class Passt {
 public:
  Passt() {
    char pattern[] = "/tmp/annulus_passt_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    path_ = folder_ + "/socket";
  }
  ~Passt() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }

  // Returns once it listens.
  bool Start() {
    int fds[2];
    if (::pipe(fds) != 0) return false;
    UniqueFd output(fds[0]);
    UniqueFd input(fds[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input.get(), 2);
    posix_spawn_file_actions_addclose(&actions, output.get());
    // As root it would become "nobody", who may not write into our folder.
    std::vector<std::string> words = {"passt", "-f",         "-e", "-4",
                                      "-t",    "none",       "-u", "none",
                                      "-s",    path_.c_str()};
    if (::geteuid() == 0) words.insert(words.end(), {"--runas", "0"});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, "/usr/bin/passt", &actions, nullptr,
                                    arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    input.reset();
    if (error != 0) return false;
    // It says this after listen(2).
    while (said_.find("You can now start") == std::string::npos) {
      char some[512];
      const ssize_t bytes = ::read(output.get(), some, sizeof(some));
      if (bytes <= 0) return false;
      said_.append(some, static_cast<size_t>(bytes));
    }
    output_ = std::move(output);  // It may have more to say.
    return true;
  }

  UniqueFd Connect() const {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                        sizeof(address)),
              0);
    return socket;
  }
  const std::string& said() const { return said_; }
  void Kill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::string folder_;
  std::string path_;
  std::string said_;
  UniqueFd output_;
  pid_t pid_ = -1;
};

constexpr uint8_t kGuestMac[] = {2, 0, 0, 0, 0, 7};
constexpr uint8_t kGuestIp[] = {10, 77, 0, 2};
constexpr uint8_t kGatewayIp[] = {10, 77, 0, 1};

template <typename T>
void Append(Bytes& bytes, const T& more) {
  bytes.insert(bytes.end(), std::begin(more), std::end(more));
}

Bytes Ethernet(const Bytes& destination, uint16_t type) {
  Bytes frame = destination;
  Append(frame, kGuestMac);
  frame.push_back(static_cast<uint8_t>(type >> 8));
  frame.push_back(static_cast<uint8_t>(type));
  return frame;
}

Bytes ArpRequest() {
  Bytes frame = Ethernet(Bytes(6, 0xff), 0x0806);
  Append(frame, Bytes{0, 1, 8, 0, 6, 4, 0, 1});
  Append(frame, kGuestMac);
  Append(frame, kGuestIp);
  Append(frame, Bytes(6, 0));
  Append(frame, kGatewayIp);
  return frame;
}

Bytes Udp(const Bytes& to_mac, const Bytes& to_ip, uint16_t to_port,
          const Bytes& from_ip, uint16_t from_port, const Bytes& data) {
  const auto put16 = [](Bytes& bytes, size_t value) {
    bytes.push_back(static_cast<uint8_t>(value >> 8));
    bytes.push_back(static_cast<uint8_t>(value));
  };
  Bytes ip = {0x45, 0};
  put16(ip, 28 + data.size());
  Append(ip, Bytes{0, 0, 0x40, 0, 64, 17, 0, 0});
  Append(ip, from_ip);
  Append(ip, to_ip);
  uint32_t sum = 0;
  for (size_t i = 0; i < ip.size(); i += 2) sum += ip[i] << 8 | ip[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~(sum + (sum >> 16)) & 0xffff;
  ip[10] = static_cast<uint8_t>(sum >> 8);
  ip[11] = static_cast<uint8_t>(sum);
  Bytes frame = Ethernet(to_mac, 0x0800);
  Append(frame, ip);
  put16(frame, from_port);
  put16(frame, to_port);
  put16(frame, 8 + data.size());
  put16(frame, 0);  // No checksum.
  Append(frame, data);
  return frame;
}

Bytes DhcpDiscover() {
  Bytes data = {1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78};
  data.resize(28);
  Append(data, kGuestMac);
  data.resize(236);
  Append(data, Bytes{99, 130, 83, 99, 53, 1, 1, 255});
  return Udp(Bytes(6, 0xff), Bytes(4, 0xff), 67, Bytes(4, 0), 68, data);
}

TransferStatus Send(NetBackendQueue& queue, Bytes frame) {
  std::array<uint8_t, kNetHeaderBytes> header = {};
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), frame.size()}};
  return queue
      .Send(vectors, static_cast<uint32_t>(header.size() + frame.size()))
      .status;
}

// The next frame that begins with `type` at byte 12, and has `protocol` at 23
// unless that is 0; empty if none comes within ten seconds of another.
Bytes Await(NetBackendQueue& queue, uint16_t type, uint8_t protocol = 0) {
  for (;;) {
    std::array<uint8_t, kNetHeaderBytes> header;
    Bytes room(kNetMaxFrameBytes);
    const iovec vectors[] = {{header.data(), header.size()},
                             {room.data(), room.size()}};
    const Transfer received = queue.Receive(vectors);
    if (received.status == TransferStatus::kAgain) {
      if (!AwaitEvents(queue.readable_fd(), POLLIN)) return {};
      continue;
    }
    if (received.status != TransferStatus::kDone) return {};
    room.resize(received.bytes - kNetHeaderBytes);
    if (room.size() > 23 && (room[12] << 8 | room[13]) == type &&
        (protocol == 0 || room[23] == protocol)) {
      return room;
    }
  }
}

// The uplink that passt describes to its guest: it leads nowhere.
void MakeUplink() {
  RunCommand(
      "ip link set lo up && ip tuntap add uplink0 mode tap && "
      "ip link set uplink0 up && ip addr add 10.77.0.2/24 dev uplink0 && "
      "ip route add default via 10.77.0.1");
}

void ExchangeFrames() {
  MakeUplink();
  Passt passt;
  ASSERT_TRUE(passt.Start()) << passt.said();
  auto backend = PasstBackend::Create(passt.Connect());
  ASSERT_TRUE(backend.ok()) << backend.status();
  NetBackendQueue& queue = (*backend)->queue(0);

  ASSERT_EQ(Send(queue, ArpRequest()), TransferStatus::kDone);
  const Bytes arp = Await(queue, 0x0806);
  ASSERT_GE(arp.size(), 42u);
  EXPECT_EQ(arp[21], 2) << "no ARP reply";
  EXPECT_TRUE(std::equal(kGatewayIp, kGatewayIp + 4, arp.begin() + 28));
  const Bytes gateway_mac(arp.begin() + 22, arp.begin() + 28);

  ASSERT_EQ(Send(queue, DhcpDiscover()), TransferStatus::kDone);
  const Bytes offer = Await(queue, 0x0800, 17);
  ASSERT_GE(offer.size(), 42u + 240);
  EXPECT_EQ(offer[42], 2) << "no BOOTREPLY";
  EXPECT_TRUE(std::equal(kGuestIp, kGuestIp + 4, offer.begin() + 42 + 16));

  // The gateway's address stands for the host, whose socket answers.
  const UniqueFd server(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(server.get(), generic, sizeof(address)), 0);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::getsockname(server.get(), generic, &size), 0);
  const uint16_t port = ntohs(address.sin_port);
  ASSERT_EQ(Send(queue, Udp(gateway_mac, Bytes(kGatewayIp, kGatewayIp + 4),
                            port, Bytes(kGuestIp, kGuestIp + 4), 4000,
                            {'p', 'i', 'n', 'g'})),
            TransferStatus::kDone);
  ASSERT_TRUE(AwaitEvents(server.get(), POLLIN));
  char ping[16];
  ASSERT_EQ(::recvfrom(server.get(), ping, sizeof(ping), 0, generic, &size), 4);
  EXPECT_EQ(std::memcmp(ping, "ping", 4), 0);
  ASSERT_EQ(::sendto(server.get(), "pong!", 5, 0, generic, size), 5);
  const Bytes pong = Await(queue, 0x0800, 17);
  ASSERT_GE(pong.size(), 47u);
  EXPECT_EQ(std::memcmp(pong.data() + 42, "pong!", 5), 0);

  passt.Kill();
  EXPECT_TRUE(Await(queue, 0x0800).empty());
  EXPECT_EQ(Send(queue, ArpRequest()), TransferStatus::kGone);
}

TEST(PasstIntegrationTest, RealPasstAnswersArpDhcpAndUdp) {
  if (::access("/usr/bin/passt", X_OK) != 0) GTEST_SKIP() << "no passt here";
  if (!InNetNamespace(&ExchangeFrames)) {
    GTEST_SKIP() << "no network namespace permitted";
  }
}

}  // namespace
}  // namespace annulus::virtio
