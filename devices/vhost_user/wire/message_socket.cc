#include "devices/vhost_user/wire/message_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/vhost_user/wire/protocol.h"

namespace annulus::vhost_user {
namespace {

// Room for kMaxFds descriptors, aligned as the macros of cmsg(3) want it.
struct ControlBuffer {
  alignas(
      cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> bytes = {};
};

// One message's time.
class Deadline {
 public:
  explicit Deadline(absl::Duration timeout)
      : forever_(timeout == absl::InfiniteDuration()),
        end_(absl::Nanoseconds(MonotonicNanoseconds()) + timeout) {}

  // Waits until `fd` has one of `events`, an error or a hang-up, or time is
  // over or `stop` signalled, which goes before: a peer that never pauses
  // cannot keep it from being seen.
  absl::Status Wait(int fd, int16_t events, const EventFd& stop) const {
    std::array<pollfd, 2> fds = {pollfd{fd, events, 0},
                                 pollfd{stop.fd(), POLLIN, 0}};
    for (;;) {
      const absl::Duration left =
          std::max(end_ - absl::Nanoseconds(MonotonicNanoseconds()),
                   absl::ZeroDuration());
      const timespec time = absl::ToTimespec(left);
      const int ready =
          ::ppoll(fds.data(), fds.size(), forever_ ? nullptr : &time, nullptr);
      if (ready < 0 && errno != EINTR) {
        return absl::ErrnoToStatus(errno, "waiting for a vhost-user peer");
      }
      if (ready > 0 && fds[1].revents != 0) {
        return absl::CancelledError("the vhost-user connection is to be ended");
      }
      if (ready > 0) return absl::OkStatus();
      if (ready == 0 && left == absl::ZeroDuration()) {
        return absl::DeadlineExceededError("the vhost-user peer took too long");
      }
    }
  }

 private:
  const bool forever_;
  const absl::Duration end_;  // Of CLOCK_MONOTONIC.
};

// Fills [data, data + size) from the socket. `fds` takes descriptors that come
// with its first piece; null: none may come.
class Receiver {
 public:
  Receiver(int fd, const EventFd& stop, absl::Duration timeout)
      : fd_(fd), stop_(stop), deadline_(timeout) {}

  absl::Status Fill(uint8_t* data, size_t size, std::vector<UniqueFd>* fds) {
    for (size_t done = 0; done < size;) {
      ANNULUS_RETURN_IF_ERROR(deadline_.Wait(fd_, POLLIN, stop_));
      ssize_t got = 0;
      ANNULUS_RETURN_IF_ERROR(ReceiveOnce({data + done, size - done},
                                          done == 0 ? fds : nullptr, got));
      if (got == 0) return HungUp();
      began_ = began_ || got > 0;
      done += static_cast<size_t>(std::max<ssize_t>(got, 0));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status HungUp() const {
    if (began_) {
      return absl::InvalidArgumentError(
          "the vhost-user peer hung up in the middle of a message");
    }
    return absl::OutOfRangeError("the vhost-user peer hung up");
  }

  // `got` as of recvmsg(2); negative where it has to be called again.
  absl::Status ReceiveOnce(iovec into, std::vector<UniqueFd>* fds,
                           ssize_t& got) const {
    ControlBuffer control;
    msghdr header = {};
    header.msg_iov = &into;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    got = ::recvmsg(fd_, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
      // A peer that closes its end without having read everything.
      if (errno == ECONNRESET) return HungUp();
      return absl::ErrnoToStatus(errno, "receiving from a vhost-user peer");
    }
    std::vector<UniqueFd> taken = TakeFds(header);
    if ((header.msg_flags & MSG_CTRUNC) != 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "a vhost-user message has more than %u descriptors", kMaxFds));
    }
    if (taken.empty()) return absl::OkStatus();
    if (fds == nullptr) {
      return absl::InvalidArgumentError(
          "descriptors in the middle of a vhost-user message");
    }
    *fds = std::move(taken);
    return absl::OkStatus();
  }

  // All of them at once become somebody's: whatever is wrong with the message,
  // none stays open.
  static std::vector<UniqueFd> TakeFds(msghdr& header) {
    std::vector<UniqueFd> fds;
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr;
         item = CMSG_NXTHDR(&header, item)) {
      if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) {
        continue;
      }
      const size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(int));
        fds.emplace_back(fd);
      }
    }
    return fds;
  }

  const int fd_;
  const EventFd& stop_;
  const Deadline deadline_;
  bool began_ = false;
};

using Header = std::array<uint32_t, 3>;  // Request, flags, size.
static_assert(sizeof(Header) == kHeaderBytes);

void AttachFds(const std::vector<UniqueFd>& fds, ControlBuffer& control,
               msghdr& header) {
  if (fds.empty()) return;
  header.msg_control = control.bytes.data();
  header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
  cmsghdr* const item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
  for (size_t i = 0; i < fds.size(); ++i) {
    const int fd = fds[i].get();
    std::memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof(int));
  }
}

}  // namespace

absl::StatusOr<Message> MessageSocket::Receive(const EventFd& stop,
                                               absl::Duration timeout) {
  Receiver receiver(fd_.get(), stop, timeout);
  Message message;
  std::array<uint8_t, kHeaderBytes> bytes;
  ANNULUS_RETURN_IF_ERROR(
      receiver.Fill(bytes.data(), bytes.size(), &message.fds));
  Header header;
  std::memcpy(header.data(), bytes.data(), bytes.size());
  message.request = header[0];
  message.flags = header[1];
  message.size = header[2];
  if ((message.flags & kVersionMask) != kVersion) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vhost-user message %u of another version: flags %#x",
                        message.request, message.flags));
  }
  if (message.size > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vhost-user message %u with a payload of %u bytes",
                        message.request, message.size));
  }
  ANNULUS_RETURN_IF_ERROR(
      receiver.Fill(message.payload.data(), message.size, /*fds=*/nullptr));
  return message;
}

absl::Status MessageSocket::Send(const Message& message, const EventFd& stop,
                                 absl::Duration timeout) {
  ANNULUS_CHECK(message.size <= kMaxPayloadBytes);
  ANNULUS_CHECK(message.fds.size() <= kMaxFds);
  const Header numbers = {message.request, message.flags, message.size};
  std::array<uint8_t, kHeaderBytes + kMaxPayloadBytes> bytes;
  std::memcpy(bytes.data(), numbers.data(), kHeaderBytes);
  std::memcpy(bytes.data() + kHeaderBytes, message.payload.data(),
              message.size);
  const size_t size = kHeaderBytes + message.size;

  const Deadline deadline(timeout);
  for (size_t done = 0; done < size;) {
    ANNULUS_RETURN_IF_ERROR(deadline.Wait(fd_.get(), POLLOUT, stop));
    iovec from = {bytes.data() + done, size - done};
    ControlBuffer control;
    msghdr header = {};
    header.msg_iov = &from;
    header.msg_iovlen = 1;
    // They go with the first byte.
    if (done == 0) AttachFds(message.fds, control, header);
    const ssize_t sent =
        ::sendmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) {
        return absl::OutOfRangeError("the vhost-user peer hung up");
      }
      return absl::ErrnoToStatus(errno, "sending to a vhost-user peer");
    }
    done += static_cast<size_t>(sent);
  }
  return absl::OkStatus();
}

}  // namespace annulus::vhost_user
