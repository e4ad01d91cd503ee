#include "devices/virtio/vsock/backend/caller.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

using Line = std::array<char, ConnectLine::kMaxBytes>;

ssize_t Receive(int fd, char* bytes, size_t size, int flags) {
  ssize_t received;
  do {
    received = ::recv(fd, bytes, size, flags | MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  return received;
}

// After Receive() returned 0 or less.
Caller::Progress NothingReceived(ssize_t received) {
  return received < 0 && errno == EAGAIN ? Caller::Progress::kWaits
                                         : Caller::Progress::kGone;
}

// Takes bytes that were seen already out of the socket, which may give them in
// pieces.
bool Consume(int fd, size_t bytes) {
  Line line;
  while (bytes > 0) {
    const ssize_t received = Receive(fd, line.data(), bytes, 0);
    if (received <= 0) return false;
    bytes -= static_cast<size_t>(received);
  }
  return true;
}

}  // namespace

Caller::Progress Caller::Advance() {
  return type_ == kVsockTypeSeqpacket ? AdvanceMessage() : AdvanceStream();
}

Caller::Progress Caller::AdvanceStream() {
  for (;;) {
    Line bytes;
    const ssize_t seen = Receive(fd(), bytes.data(), line_.room(), MSG_PEEK);
    if (seen <= 0) return NothingReceived(seen);
    const size_t taken = line_.Take({bytes.data(), static_cast<size_t>(seen)});
    if (!Consume(fd(), taken)) return Progress::kGone;
    switch (line_.state()) {
      case ConnectLine::State::kIncomplete:
        break;
      case ConnectLine::State::kComplete:
        port_ = line_.port();
        return Progress::kSaid;
      case ConnectLine::State::kWrong:
        return Progress::kWrong;
    }
  }
}

Caller::Progress Caller::AdvanceMessage() {
  Line bytes;
  const ssize_t size = Receive(fd(), bytes.data(), bytes.size(), MSG_TRUNC);
  if (size <= 0) return NothingReceived(size);
  if (static_cast<size_t>(size) > bytes.size()) return Progress::kWrong;
  const absl::string_view line(bytes.data(), static_cast<size_t>(size));
  const std::optional<uint32_t> port =
      ParseConnectLine(absl::StripSuffix(line, "\n"));
  if (!port.has_value()) return Progress::kWrong;
  port_ = *port;
  return Progress::kSaid;
}

}  // namespace annulus::virtio
