#include "tests/guest_user/frame_sender.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/net.h"
#include "memory/little_endian.h"

namespace annulus::guest_user {
namespace {

// What a packet socket with PACKET_VNET_HDR takes before each frame: the
// virtio-net header of the first drivers, without num_buffers.
struct SocketNetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  memory::Le16 hdr_len;
  memory::Le16 gso_size;
  memory::Le16 csum_start;
  memory::Le16 csum_offset;
};
static_assert(sizeof(SocketNetHeader) == 10);

class RawSender final : public FrameSender {
 public:
  RawSender(const StreamSpec& spec, const MacAddress& destination,
            UniqueFd socket)
      : spec_(spec),
        destination_(destination),
        socket_(std::move(socket)),
        frame_(kMaxStreamHeaderBytes + MaxPayloadBytes(spec)) {}

  absl::Status Send(uint64_t sequence) override {
    const uint32_t header = HeaderBytes(spec_);
    const uint32_t payload = PayloadBytes(spec_, sequence);
    const FrameKind kind = KindOf(spec_, sequence);
    WriteStreamHeader(spec_, sequence, destination_, frame_.data());
    FillPayload(spec_, sequence, {&frame_[header], payload});
    SocketNetHeader net;
    if (kind != FrameKind::kFragment) {
      net.flags = virtio::kNetHeaderNeedsCsum;
      net.csum_start = static_cast<uint16_t>(TransportOffset(spec_));
      net.csum_offset = static_cast<uint16_t>(ChecksumOffset(spec_));
    }
    net.hdr_len = static_cast<uint16_t>(header);
    if (kind == FrameKind::kGso) {
      net.gso_type =
          IsIpv4(spec_) ? virtio::kNetGsoTcpv4 : virtio::kNetGsoTcpv6;
      net.gso_size = static_cast<uint16_t>(spec_.payload_bytes);
    }
    iovec parts[] = {{&net, sizeof(net)}, {frame_.data(), header + payload}};
    if (::writev(socket_.get(), parts, 2) ==
        static_cast<ssize_t>(sizeof(net) + header + payload)) {
      return absl::OkStatus();
    }
    return absl::ErrnoToStatus(errno, absl::StrCat("sending frame ", sequence));
  }

 private:
  const StreamSpec spec_;
  const MacAddress destination_;
  const UniqueFd socket_;
  std::vector<uint8_t> frame_;
};

absl::StatusOr<std::unique_ptr<FrameSender>> OpenRawSender(
    const StreamSpec& spec, const std::string& interface,
    const MacAddress& destination) {
  // Protocol 0: it receives nothing.
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (!socket.valid() || address.sll_ifindex == 0 ||
      ::setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &on,
                   sizeof(on)) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("opening a packet socket at ", interface));
  }
  return std::make_unique<RawSender>(spec, destination, std::move(socket));
}

class DatagramSender final : public FrameSender {
 public:
  DatagramSender(const StreamSpec& spec, UniqueFd socket)
      : spec_(spec),
        socket_(std::move(socket)),
        payload_(MaxPayloadBytes(spec)) {}

  absl::Status Send(uint64_t sequence) override {
    const uint32_t bytes = PayloadBytes(spec_, sequence);
    FillPayload(spec_, sequence, {payload_.data(), bytes});
    if (::send(socket_.get(), payload_.data(), bytes, 0) ==
        static_cast<ssize_t>(bytes)) {
      return absl::OkStatus();
    }
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("sending datagram ", sequence));
  }

 private:
  const StreamSpec spec_;
  const UniqueFd socket_;
  std::vector<uint8_t> payload_;
};

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t bytes = 0;
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
};

SocketAddress MakeAddress(bool ipv4, const char* text, uint16_t port) {
  SocketAddress address;
  if (ipv4) {
    sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    ::inet_pton(AF_INET, text, &in.sin_addr);
    std::memcpy(&address.storage, &in, sizeof(in));
    address.bytes = sizeof(in);
  } else {
    sockaddr_in6 in6 = {};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    ::inet_pton(AF_INET6, text, &in6.sin6_addr);
    std::memcpy(&address.storage, &in6, sizeof(in6));
    address.bytes = sizeof(in6);
  }
  return address;
}

absl::StatusOr<std::unique_ptr<FrameSender>> OpenDatagramSender(
    const StreamSpec& spec, const std::string& interface) {
  const bool ipv4 = IsIpv4(spec);
  UniqueFd socket(
      ::socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress from =
      MakeAddress(ipv4, ipv4 ? "10.0.0.1" : "fd00::1", kStreamSourcePort);
  const SocketAddress to =
      MakeAddress(ipv4, ipv4 ? "10.0.0.2" : "fd00::2", kStreamPort);
  if (!socket.valid() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                   static_cast<socklen_t>(interface.size())) != 0 ||
      ::bind(socket.get(), from.get(), from.bytes) != 0 ||
      ::connect(socket.get(), to.get(), to.bytes) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("opening a datagram socket at ", interface));
  }
  return std::make_unique<DatagramSender>(spec, std::move(socket));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FrameSender>> OpenFrameSender(
    const StreamSpec& spec, const std::string& interface,
    const MacAddress& destination) {
  return IsTcp(spec) ? OpenRawSender(spec, interface, destination)
                     : OpenDatagramSender(spec, interface);
}

}  // namespace annulus::guest_user
