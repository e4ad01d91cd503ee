#ifndef DEVICES_VIRTIO_NET_BACKEND_NET_NAMESPACE_TESTING_H_
#define DEVICES_VIRTIO_NET_BACKEND_NET_NAMESPACE_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus::virtio {

// Runs `body` in a network namespace of its own, which lives as long as a
// descriptor or thread of it does. False, and nothing was run: the host does
// not permit it, or has no /dev/net/tun.
//
// `body` runs on another thread; processes that it starts are in that namespace
// too.
[[nodiscard]] bool InNetNamespace(const std::function<void()>& body);

// A TEST whose body runs in a network namespace of its own.
#define NET_NAMESPACE_TEST(suite, name)                               \
  void suite##name##Body();                                           \
  TEST(suite, name) {                                                 \
    if (!::annulus::virtio::InNetNamespace(&suite##name##Body)) {     \
      GTEST_SKIP() << "no network namespace or tun device permitted"; \
    }                                                                 \
  }                                                                   \
  void suite##name##Body()

// Runs a command line such as "ip link add ..."; an error fails the test.
void RunCommand(const std::string& command);

// The wire that an interface is: an AF_PACKET socket, which sends what the
// interface is to transmit and sees what it received. Frames of other
// ethertypes than kTestEthertype are not seen.
inline constexpr uint16_t kTestEthertype = 0x88b5;  // For local experiments.

class PacketSocket {
 public:
  // With `vnet_header`, a virtio_net_hdr of 10 bytes precedes each sent frame.
  explicit PacketSocket(absl::string_view interface, bool vnet_header = false);

  bool Send(const std::vector<uint8_t>& frame) const;

  // Waits for a frame; empty if none came in ten seconds.
  std::vector<uint8_t> Receive() const;

 private:
  const int index_;
  const UniqueFd fd_;
};

// True if `events` came on `fd` within ten seconds.
bool AwaitEvents(int fd, short events);

// What poll(2) reports of `fd` at once.
short EventsNow(int fd, short events);

// A broadcast frame of `bytes` with kTestEthertype, `tag` in its last byte.
std::vector<uint8_t> TestFrame(size_t bytes, uint8_t tag);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_NET_NAMESPACE_TESTING_H_
