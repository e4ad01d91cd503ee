#include "devices/virtio/vsock/backend/unix_datagrams.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "devices/virtio/vsock/backend/port_line.h"
#include "devices/virtio/vsock/backend/socket_setup.h"
#include "memory/shared_message.h"

namespace annulus::virtio {
namespace {

// Datagrams that are none for the guest, per call.
constexpr int kMaxSkipped = 64;
constexpr uint32_t kSendBytes = 4 << 20;
constexpr absl::string_view kKeyword = "PORT ";

ssize_t ReceiveMessage(int fd, msghdr& message, int flags) {
  ssize_t received;
  do {
    received =
        memory::ReceiveShared(fd, message, flags | MSG_DONTWAIT | MSG_TRUNC);
  } while (received < 0 && errno == EINTR);
  return received;
}

size_t TotalBytes(absl::Span<const iovec> vectors) {
  size_t bytes = 0;
  for (const iovec& vector : vectors) bytes += vector.iov_len;
  return bytes;
}

}  // namespace

std::optional<DatagramLine> ParseDatagramLine(absl::string_view datagram) {
  const absl::string_view head = datagram.substr(0, DatagramLine::kMaxBytes);
  const size_t line_feed = head.find('\n');
  if (line_feed == head.npos) return std::nullopt;
  const std::optional<uint32_t> port =
      ParsePortLine("port", head.substr(0, line_feed));
  if (!port.has_value()) return std::nullopt;
  return DatagramLine{line_feed + 1, *port};
}

absl::StatusOr<std::unique_ptr<UnixDatagrams>> UnixDatagrams::Create(
    int fd, const std::string& path) {
  ANNULUS_ASSIGN_OR_RETURN(const UnixAddress prefix,
                           UnixAddress::Create(absl::StrCat(path, "_dgram_")));
  GrowSendBuffer(fd, kSendBytes);
  return std::unique_ptr<UnixDatagrams>(new UnixDatagrams(fd, prefix));
}

std::optional<size_t> UnixDatagrams::Receive(absl::Span<const iovec> vectors,
                                             Ports& ports) {
  std::array<char, DatagramLine::kMaxBytes> head;
  sockaddr_un sender;
  for (int i = 0; i < kMaxSkipped; ++i) {
    // First how long its line is, for the payload to go where it belongs.
    iovec head_vector = {head.data(), head.size()};
    msghdr peek = {};
    peek.msg_name = &sender;
    peek.msg_namelen = sizeof(sender);
    peek.msg_iov = &head_vector;
    peek.msg_iovlen = 1;
    const ssize_t size = ReceiveMessage(fd_, peek, MSG_PEEK);
    if (size < 0) return std::nullopt;
    const std::optional<DatagramLine> line = ParseDatagramLine(
        {head.data(), std::min(static_cast<size_t>(size), head.size())});
    msghdr message = {};
    if (!line.has_value()) {
      if (ReceiveMessage(fd_, message, 0) < 0) return std::nullopt;
      continue;
    }
    ports.guest = line->port;
    ports.host = HostPort(UnixName(sender, peek.msg_namelen));
    const absl::Span<const iovec> used = vectors.subspan(0, kMaxVectors);
    receive_vectors_[0] = {head.data(), line->bytes};
    std::copy(used.begin(), used.end(), receive_vectors_.begin() + 1);
    message.msg_iov = receive_vectors_.data();
    message.msg_iovlen = used.size() + 1;
    if (ReceiveMessage(fd_, message, 0) < 0) return std::nullopt;
    const size_t payload = static_cast<size_t>(size) - line->bytes;
    const bool cut = used.size() < vectors.size() && payload > TotalBytes(used);
    return cut ? std::max(payload, TotalBytes(vectors) + 1) : payload;
  }
  return std::nullopt;
}

uint32_t UnixDatagrams::HostPort(absl::string_view name) const {
  if (!absl::ConsumePrefix(&name, host_prefix_.name())) return 0;
  return ParsePortNumber(name).value_or(0);
}

bool UnixDatagrams::Send(const Ports& ports, absl::Span<const iovec> vectors) {
  UnixAddress to = host_prefix_;
  if (ports.host == 0 || vectors.size() > kMaxVectors ||
      !to.Append(ports.host)) {
    return false;
  }
  std::array<char, DatagramLine::kMaxBytes> line;
  char* end = std::copy(kKeyword.begin(), kKeyword.end(), line.begin());
  end = std::to_chars(end, line.end() - 1, ports.guest).ptr;
  *end++ = '\n';
  send_vectors_[0] = {line.data(), static_cast<size_t>(end - line.data())};
  std::copy(vectors.begin(), vectors.end(), send_vectors_.begin() + 1);
  msghdr message = {};
  // sendmsg(2) does not write to it.
  message.msg_name = const_cast<sockaddr*>(to.get());
  message.msg_namelen = to.size();
  message.msg_iov = send_vectors_.data();
  message.msg_iovlen = vectors.size() + 1;
  ssize_t sent;
  do {
    sent = memory::SendShared(fd_, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

}  // namespace annulus::virtio
