// A hostile process that sends any messages to the socket of a CID, beside one
// that behaves and must not notice. Each message is two bytes of length and its
// bytes; 0xffff as a length begins a new link.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/link/link_message.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kVictim = 3;
constexpr uint64_t kFriend = 4;

class World {
 public:
  World()
      : one_(*VsockSwitch::Create({.directory = directory_.path()})),
        two_(*VsockSwitch::Create({.directory = directory_.path()})),
        victim_(*one_, kVictim,
                {.max_connections = 16, .max_bytes = 256 * 1024}),
        friend_(*two_, kFriend) {}
  ~World() {
    victim_.Destroy();
    friend_.Destroy();
  }

  UniqueFd Connect() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = directory_.Path(absl::StrCat(kVictim));
    std::memcpy(address.sun_path, path.data(), path.size());
    ANNULUS_CHECK(::connect(socket.get(),
                            reinterpret_cast<const sockaddr*>(&address),
                            sizeof(address)) == 0);
    return socket;
  }

  // The victim's guest reads, and refuses whoever is no friend.
  void RunVictim() {
    victim_.Deliver();
    for (const auto& packet : std::exchange(victim_.sink.packets, {})) {
      const PacketHeader& header = packet.header;
      ANNULUS_CHECK(header.dst_cid == kVictim);
      ANNULUS_CHECK(header.len == packet.payload.size());
      if (header.op == kVsockOpRst) continue;
      victim_.Send(header.src_cid, header.dst_port, header.src_port,
                   header.op == kVsockOpRequest && header.dst_port % 2 == 0
                       ? kVsockOpResponse
                       : kVsockOpRst);
    }
    ANNULUS_CHECK(victim_.port().DeliverDatagrams(victim_.sink));
    victim_.sink.packets.clear();
  }

  // The friend may have been spoken for, which ends its connections; but it can
  // always make a new one.
  void CheckThatItStillWorks() {
    for (int attempt = 0; attempt < 100; ++attempt) {
      RunVictim();
      const bool sent = !friend_.Send(kVictim, 1000, 80, kVsockOpRequest);
      for (int i = 0; sent && i < 10; ++i) {
        RunVictim();
        friend_.Deliver();
        for (const auto& packet : std::exchange(friend_.sink.packets, {})) {
          if (packet.header.op == kVsockOpResponse) return;
        }
      }
    }
    ANNULUS_CHECK(false);
  }

 private:
  const SocketDirectory directory_;
  const std::shared_ptr<VsockSwitch> one_;
  const std::shared_ptr<VsockSwitch> two_;
  TestGuest victim_;
  TestGuest friend_;
};

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::virtio;
  World world;
  annulus::UniqueFd socket = world.Connect();
  auto input = absl::MakeConstSpan(data, size);
  for (int messages = 0; input.size() >= 2 && messages < 200; ++messages) {
    const size_t length = input[0] | size_t{input[1]} << 8;
    input.remove_prefix(2);
    if (length == 0xffff) {
      world.RunVictim();
      socket = world.Connect();
      continue;
    }
    const auto message = input.subspan(0, length);
    input.remove_prefix(message.size());
    ::send(socket.get(), message.data(), message.size(),
           MSG_DONTWAIT | MSG_NOSIGNAL);
    world.RunVictim();
  }
  world.CheckThatItStillWorks();
  return 0;
}
