#include "devices/virtio/net/backend/passt_backend.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/frame_format.h"

namespace annulus::virtio {
namespace {

TransferStatus Failure(int error) {
  switch (error) {
    case EAGAIN:
      return TransferStatus::kAgain;
    case ENOBUFS:
    case ENOMEM:
    case EFAULT:
      return TransferStatus::kDropped;
    default:  // EPIPE, ECONNRESET: nothing comes after those.
      return TransferStatus::kGone;
  }
}

absl::Status CheckSocket(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("asking what socket descriptor ", fd, " is"));
  }
  if (domain != AF_UNIX || type != SOCK_STREAM) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is no unix stream socket"));
  }
  sockaddr peer;
  size = sizeof(peer);
  if (::getpeername(fd, &peer, &size) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("asking for the peer of passt socket ", fd));
  }
  return absl::OkStatus();
}

}  // namespace

Transfer PasstQueue::Send(absl::Span<const iovec> frame, uint32_t bytes) {
  const size_t frame_bytes = bytes - kNetHeaderBytes;
  if (frame.size() < 2 || frame.size() > kMaxVectors ||
      frame_bytes > kNetMaxFrameBytes) {
    return {TransferStatus::kDropped, 0};
  }
  const Identity identity = {frame[1].iov_base, bytes};
  TransferStatus status;
  if (!rest_.empty()) {
    status = SendRest();
    if (status != TransferStatus::kDone) return {status, 0};
    if (rest_of_ == identity) return {status, bytes};
    // Whoever gave that one gave it up, as a reset of the queue does.
  }
  status = SendNew(frame, frame_bytes);
  if (!rest_.empty()) rest_of_ = identity;
  return {status, status == TransferStatus::kDone ? bytes : 0};
}

TransferStatus PasstQueue::SendRest() {
  while (!rest_.empty()) {
    const ssize_t sent = ::send(socket_.get(), rest_.data(), rest_.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      rest_.remove_prefix(static_cast<size_t>(sent));
    } else if (errno != EINTR) {
      const TransferStatus status = Failure(errno);
      // Never half a frame: what cannot be sent now is sent later.
      return status == TransferStatus::kDropped ? TransferStatus::kAgain
                                                : status;
    }
  }
  return TransferStatus::kDone;
}

TransferStatus PasstQueue::SendNew(absl::Span<const iovec> frame,
                                   size_t frame_bytes) {
  // The length comes where the virtio_net_hdr was.
  uint32_t length = htonl(static_cast<uint32_t>(frame_bytes));
  vectors_[0] = {&length, sizeof(length)};
  std::copy(frame.begin() + 1, frame.end(), vectors_.begin() + 1);
  msghdr message = {};
  message.msg_iov = vectors_.data();
  message.msg_iovlen = frame.size();
  ssize_t sent;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Failure(errno);
  const size_t total = sizeof(length) + frame_bytes;
  if (static_cast<size_t>(sent) == total) return TransferStatus::kDone;
  // The guest may change the frame before the rest is sent; it may not change
  // its length.
  GatherFrame(absl::MakeConstSpan(vectors_.data(), frame.size()), copy_.data(),
              total);
  rest_ = absl::MakeConstSpan(copy_.data(), total)
              .subspan(static_cast<size_t>(sent));
  return SendRest();
}

Transfer PasstQueue::Receive(absl::Span<const iovec> room) {
  absl::Span<const uint8_t> frame;
  PasstStream::Found found = stream_.Next(frame);
  if (found == PasstStream::Found::kIncomplete) {
    const TransferStatus status = ReadMore();
    if (status != TransferStatus::kDone) return {status, 0};
    found = stream_.Next(frame);
  }
  switch (found) {
    case PasstStream::Found::kFrame:
      break;
    case PasstStream::Found::kIncomplete:
      return {TransferStatus::kAgain, 0};
    case PasstStream::Found::kBroken:
      // The sender and the watcher of the link see this as a hangup.
      ::shutdown(socket_.get(), SHUT_RDWR);
      return {TransferStatus::kGone, 0};
  }
  return {Deliver(frame, room),
          static_cast<uint32_t>(kNetHeaderBytes + frame.size())};
}

TransferStatus PasstQueue::ReadMore() {
  const absl::Span<uint8_t> room = stream_.Room();
  for (;;) {
    const ssize_t received =
        ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (received > 0) {
      stream_.Fill(static_cast<size_t>(received));
      return TransferStatus::kDone;
    }
    if (received == 0) return TransferStatus::kGone;
    if (errno != EINTR) return Failure(errno);
  }
}

TransferStatus PasstQueue::Deliver(absl::Span<const uint8_t> frame,
                                   absl::Span<const iovec> room) const {
  if (frame.size() < kEthernetHeaderBytes) return TransferStatus::kDropped;
  std::memset(room[0].iov_base, 0, kNetHeaderBytes);
  ScatterFrame(frame, room.subspan(1));
  return TransferStatus::kDone;
}

absl::StatusOr<std::unique_ptr<PasstBackend>> PasstBackend::Create(
    UniqueFd socket) {
  const int fd = socket.get();
  ANNULUS_RETURN_IF_ERROR(CheckSocket(fd));
  std::unique_ptr<PasstBackend> backend(new PasstBackend(std::move(socket)));
  ANNULUS_ASSIGN_OR_RETURN(
      backend->watcher_,
      HangupWatcher::Create("passt/link", fd, backend->link_));
  return backend;
}

}  // namespace annulus::virtio
