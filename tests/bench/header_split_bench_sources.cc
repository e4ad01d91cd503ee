#include "tests/bench/header_split_bench_sources.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "base/check.h"
#include "devices/virtio/net/backend/tap_device.h"
#include "devices/virtio/spec/net.h"

namespace annulus::bench {

using virtio::Transfer;
using virtio::TransferStatus;

virtio::FeatureSet MemorySource::offloads() const {
  return virtio::FeatureSet::Of(virtio::kNetCsum, virtio::kNetGuestCsum,
                                virtio::kNetGuestTso4);
}

Transfer MemorySource::Receive(absl::Span<const iovec> room) {
  if (steps_.on()) steps_.Frame();
  const BenchFrame& frame = frames_.at(next_);
  absl::Span<const uint8_t> bytes = frames_.BytesOf(next_);
  next_ = next_ + 1 == frames_.count() ? 0 : next_ + 1;
  std::memcpy(room[0].iov_base, frame.net_header.data(),
              frame.net_header.size());
  for (const iovec& vector : room.subspan(1)) {
    const size_t part = std::min(vector.iov_len, bytes.size());
    std::memcpy(vector.iov_base, bytes.data(), part);
    bytes.remove_prefix(part);
    if (bytes.empty()) break;
  }
  return {TransferStatus::kDone,
          static_cast<uint32_t>(frame.net_header.size()) + frame.bytes};
}

void EnterNetNamespace() {
  ANNULUS_CHECK(::unshare(CLONE_NEWNET) == 0);
  // Else the kernel sends frames of its own. Without IPv6 there is nothing to
  // switch off.
  for (const char* which : {"all", "default"}) {
    std::ofstream(std::string("/proc/sys/net/ipv6/conf/") + which +
                  "/disable_ipv6")
        << 1;
  }
}

std::unique_ptr<virtio::TapBackend> MakeTap(const std::string& name,
                                            uint32_t mtu) {
  auto tap = virtio::TapBackend::Create(
      virtio::OpenTap({.name = name, .create = true}).value());
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_mtu = static_cast<int>(mtu);
  ANNULUS_CHECK(::ioctl(fd.get(), SIOCSIFMTU, &request) == 0);
  return std::move(tap).value();
}

TapSender::TapSender(const BenchFrames& frames, const std::string& interface)
    : frames_(frames),
      fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)),
      index_(static_cast<int>(::if_nametoindex(interface.c_str()))) {
  ANNULUS_CHECK(fd_.valid() && index_ != 0);
  const int one = 1;
  for (const int option : {PACKET_VNET_HDR, PACKET_QDISC_BYPASS}) {
    ANNULUS_CHECK(
        ::setsockopt(fd_.get(), SOL_PACKET, option, &one, sizeof(one)) == 0);
  }
}

void TapSender::SendNext() {
  const BenchFrame& frame = frames_.at(next_);
  const absl::Span<const uint8_t> bytes = frames_.BytesOf(next_);
  next_ = next_ + 1 == frames_.count() ? 0 : next_ + 1;
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol =
      htons(static_cast<uint16_t>(bytes[12] * 256 + bytes[13]));
  address.sll_ifindex = index_;
  // The kernel's header is the first 10 of the 12 bytes.
  auto net_header = frame.net_header;
  iovec vectors[] = {{net_header.data(), 10},
                     {const_cast<uint8_t*>(bytes.data()), bytes.size()}};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = sizeof(address);
  message.msg_iov = vectors;
  message.msg_iovlen = 2;
  const ssize_t sent = ::sendmsg(fd_.get(), &message, 0);
  ANNULUS_CHECK(sent == static_cast<ssize_t>(10 + bytes.size()));
}

}  // namespace annulus::bench
