#include "devices/virtio/net/backend/net_namespace_testing.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "gtest/gtest.h"

namespace annulus::virtio {

bool InNetNamespace(const std::function<void()>& body) {
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return false;
  bool ran = false;
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    // Else the kernel sends frames of its own, when it likes. Without IPv6
    // there is nothing to switch off.
    for (const char* which : {"all", "default"}) {
      std::ofstream(std::string("/proc/sys/net/ipv6/conf/") + which +
                    "/disable_ipv6")
          << 1;
    }
    ran = true;
    body();
  });
  thread.join();
  return ran;
}

void RunCommand(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

namespace {

// bind(2) and sendto(2) want it in generic form.
const sockaddr* Generic(const void* address) {
  return static_cast<const sockaddr*>(address);
}

sockaddr_ll PacketAddress(int index, uint16_t ethertype) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype);
  address.sll_ifindex = index;
  return address;
}

}  // namespace

PacketSocket::PacketSocket(absl::string_view interface, bool vnet_header)
    : index_(
          static_cast<int>(::if_nametoindex(std::string(interface).c_str()))),
      fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  EXPECT_NE(index_, 0);
  const sockaddr_ll address = PacketAddress(index_, kTestEthertype);
  EXPECT_EQ(::bind(fd_.get(), Generic(&address), sizeof(address)), 0);
  const int one = 1;
  if (vnet_header) {
    EXPECT_EQ(
        ::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)),
        0);
  }
  const timeval ten_seconds = {10, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &ten_seconds,
               sizeof(ten_seconds));
}

bool PacketSocket::Send(const std::vector<uint8_t>& frame) const {
  // Ethertype 0: the one that stands in the frame.
  const sockaddr_ll address = PacketAddress(index_, 0);
  return ::sendto(fd_.get(), frame.data(), frame.size(), 0, Generic(&address),
                  sizeof(address)) == static_cast<ssize_t>(frame.size());
}

std::vector<uint8_t> PacketSocket::Receive() const {
  std::vector<uint8_t> frame(1 << 17);
  const ssize_t bytes = ::recv(fd_.get(), frame.data(), frame.size(), 0);
  frame.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
  return frame;
}

bool AwaitEvents(int fd, short events) {
  pollfd poll_fd = {fd, events, 0};
  return ::poll(&poll_fd, 1, 10'000) == 1 && (poll_fd.revents & events) != 0;
}

short EventsNow(int fd, short events) {
  pollfd poll_fd = {fd, events, 0};
  ::poll(&poll_fd, 1, 0);
  return poll_fd.revents;
}

std::vector<uint8_t> TestFrame(size_t bytes, uint8_t tag) {
  std::vector<uint8_t> frame(bytes, 0x5a);
  std::memset(frame.data(), 0xff, 6);
  const uint8_t rest[] = {
      2, 0, 0, 0, 0, 1, kTestEthertype >> 8, kTestEthertype & 0xff};
  std::memcpy(frame.data() + 6, rest, sizeof(rest));
  frame.back() = tag;
  return frame;
}

}  // namespace annulus::virtio
