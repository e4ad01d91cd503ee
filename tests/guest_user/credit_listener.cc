#include "tests/guest_user/credit_listener.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "tests/guest_user/deadline.h"

namespace annulus::guest_user {

absl::StatusOr<CreditListener> CreditListener::Open(
    const std::string& interface, uint64_t seed) {
  const uint16_t protocol = htons(kCreditEthertype);
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = protocol;
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (!socket.valid() || address.sll_ifindex == 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("opening a packet socket at ", interface));
  }
  return CreditListener(std::move(socket), seed);
}

absl::StatusOr<Credit> CreditListener::Await() {
  const IdleTime idle;
  uint8_t frame[256];
  while (!idle.too_long()) {
    pollfd wait = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 1000) <= 0) continue;
    const ssize_t bytes = ::recv(socket_.get(), frame, sizeof(frame), 0);
    if (bytes < 0) {
      return absl::ErrnoToStatus(errno, "receiving a frame of the receiver");
    }
    const std::optional<Credit> credit =
        DecodeCredit(absl::MakeConstSpan(frame, static_cast<size_t>(bytes)));
    if (credit.has_value() && credit->seed == seed_) return *credit;
  }
  return absl::DeadlineExceededError("the receiver is silent");
}

}  // namespace annulus::guest_user
