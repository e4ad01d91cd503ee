#include "devices/virtio/vsock/connection/host_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "memory/shared_message.h"

namespace annulus::virtio {
namespace {

msghdr MessageOf(absl::Span<const iovec> vectors) {
  msghdr message = {};
  // sendmsg(2) does not write to them, and recvmsg(2) only to what they name.
  message.msg_iov = const_cast<iovec*>(vectors.data());
  message.msg_iovlen = vectors.size();
  return message;
}

}  // namespace

HostIo SendToHost(int fd, absl::Span<const iovec> vectors, size_t bytes,
                  size_t& sent) {
  const msghdr message = MessageOf(vectors);
  const ssize_t result =
      memory::SendShared(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result >= 0) {
    sent += static_cast<size_t>(result);
    // A part: the rest would not have fitted.
    return static_cast<size_t>(result) == bytes ? HostIo::kDone
                                                : HostIo::kAgain;
  }
  switch (errno) {
    case EAGAIN:
    case EINTR:
      return HostIo::kAgain;
    case EPIPE:
    case ECONNRESET:
      return HostIo::kEnd;
    default:
      return HostIo::kFailed;
  }
}

HostIo ReceiveFromHost(int fd, absl::Span<const iovec> vectors,
                       size_t& received) {
  msghdr message = MessageOf(vectors);
  ssize_t result = memory::ReceiveShared(fd, message, MSG_DONTWAIT);
  // The other end was closed with data from here unread. That says nothing
  // about its own data, which comes after the error of a SOCK_SEQPACKET.
  if (result < 0 && errno == ECONNRESET) {
    result = memory::ReceiveShared(fd, message, MSG_DONTWAIT);
  }
  if (result > 0) {
    received = static_cast<size_t>(result);
    return HostIo::kDone;
  }
  if (result == 0) return HostIo::kEnd;
  switch (errno) {
    case EAGAIN:
    case EINTR:
      return HostIo::kAgain;
    case ECONNRESET:
      return HostIo::kEnd;
    default:
      return HostIo::kFailed;
  }
}

HostIo ProbeHostReads(int fd) {
  const ssize_t result = ::send(fd, nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
  return result < 0 && errno == EPIPE ? HostIo::kEnd : HostIo::kDone;
}

namespace {

// Of a SOCK_SEQPACKET whose other end writes no more, and which reads as
// nothing: each message comes with the credentials of its sender, if these are
// asked for, and the end without.
bool IsEmptyMessage(int fd) {
  const int on = 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
    return false;
  }
  // No room behind them for descriptors, which the kernel would open here.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control;
  msghdr message = {};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  return ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) == 0 &&
         message.msg_controllen != 0;
}

}  // namespace

HostIo PeekMessage(int fd, size_t& size) {
  constexpr int kFlags = MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT;
  ssize_t result = ::recv(fd, nullptr, 0, kFlags);
  if (result < 0 && errno == ECONNRESET) {
    result = ::recv(fd, nullptr, 0, kFlags);
  }
  if (result < 0) {
    return errno == EAGAIN || errno == EINTR ? HostIo::kAgain : HostIo::kFailed;
  }
  size = static_cast<size_t>(result);
  if (size != 0) return HostIo::kDone;
  pollfd poll = {.fd = fd, .events = POLLRDHUP, .revents = 0};
  const bool ends =
      ::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLRDHUP | POLLHUP)) != 0;
  return ends && !IsEmptyMessage(fd) ? HostIo::kEnd : HostIo::kDone;
}

void SkipMessage(int fd) {
  // It was there: there is nothing to learn.
  static_cast<void>(::recv(fd, nullptr, 0, MSG_DONTWAIT));
}

bool HostHungUp(int fd) {
  pollfd poll = {.fd = fd, .events = 0, .revents = 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLHUP) != 0;
}

bool HostSaidNothing(int fd) {
  uint8_t byte = 0;
  return ::recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) <= 0;
}

bool HostConnected(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
         error == 0;
}

}  // namespace annulus::virtio
