#include "tests/guest_user/vsock_address.h"

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace annulus::guest_user {
namespace {

using Kind = SocketAddress::Kind;

constexpr int kBacklog = 4096;
// Of a handshake's answer: "OK 4294967295\n".
constexpr size_t kMaxAnswerBytes = 32;

int TypeOf(const SocketOptions& options) {
  return (options.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
}

sockaddr_vm VmAddress(const SocketAddress& address) {
  sockaddr_vm result = {};
  result.svm_family = AF_VSOCK;
  result.svm_cid = address.cid;
  result.svm_port = address.port;
  return result;
}

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un result = {};
  result.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(result.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no path of a socket"));
  }
  std::memcpy(result.sun_path, path.data(), path.size());
  return result;
}

// "PATH:PORT", or "CID:PORT".
bool SplitPort(absl::string_view& text, uint32_t& port) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return false;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port)) return false;
  text = text.substr(0, colon);
  return true;
}

template <typename Address>
absl::Status Connect(int fd, const Address& address) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  const std::string reason = absl::StrCat("connect: ", std::strerror(error));
  if (error == ETIMEDOUT || error == EAGAIN) {
    return absl::DeadlineExceededError(reason);
  }
  return absl::UnavailableError(reason);
}

// What a program of the host says first to the device, and its answer.
absl::Status Handshake(int fd, uint32_t port, bool seqpacket) {
  const std::string request = absl::StrCat("CONNECT ", port, "\n");
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return ConnectionError("CONNECT");
  }
  std::string answer;
  while (!absl::EndsWith(answer, "\n") && answer.size() < kMaxAnswerBytes) {
    char buffer[kMaxAnswerBytes];
    // No byte more than the line.
    const ssize_t got = ::recv(fd, buffer, seqpacket ? sizeof(buffer) : 1, 0);
    if (got < 0) return ConnectionError("the answer to CONNECT");
    if (got == 0) return absl::UnavailableError("the guest does not answer");
    answer.append(buffer, static_cast<size_t>(got));
  }
  if (!absl::StartsWith(answer, "OK ")) {
    return absl::UnavailableError(
        absl::StrCat("answered ", absl::StripAsciiWhitespace(answer)));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ConnectOnce(const SocketAddress& address,
                                     const SocketOptions& options) {
  UniqueFd fd(::socket(address.kind == Kind::kVsock ? AF_VSOCK : AF_UNIX,
                       TypeOf(options), 0));
  if (!fd.valid()) return ConnectionError("socket");
  ANNULUS_RETURN_IF_ERROR(SetTimeouts(fd.get(), options));
  if (address.kind == Kind::kVsock) {
    // Else two seconds, which is little for an emulated machine.
    const timeval timeout = absl::ToTimeval(options.timeout);
    if (::setsockopt(fd.get(), AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT,
                     &timeout, sizeof(timeout)) != 0) {
      return ConnectionError("SO_VM_SOCKETS_CONNECT_TIMEOUT");
    }
    ANNULUS_RETURN_IF_ERROR(Connect(fd.get(), VmAddress(address)));
    return fd;
  }
  const bool device = address.kind == Kind::kDevice;
  ANNULUS_ASSIGN_OR_RETURN(
      const sockaddr_un target,
      UnixAddress(absl::StrCat(
          address.path, device && options.seqpacket ? "_seqpacket" : "")));
  ANNULUS_RETURN_IF_ERROR(Connect(fd.get(), target));
  if (device) {
    ANNULUS_RETURN_IF_ERROR(
        Handshake(fd.get(), address.port, options.seqpacket));
  }
  return fd;
}

}  // namespace

absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text) {
  SocketAddress address;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    address.path = std::string(rest);
    return address;
  }
  if (absl::ConsumePrefix(&rest, "device:") && SplitPort(rest, address.port)) {
    address.kind = Kind::kDevice;
    address.path = std::string(rest);
    return address;
  }
  if (absl::ConsumePrefix(&rest, "vsock:") && SplitPort(rest, address.port)) {
    address.kind = Kind::kVsock;
    address.cid = VMADDR_CID_ANY;
    if (rest == "any" || absl::SimpleAtoi(rest, &address.cid)) return address;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      text, " is none of vsock:CID:PORT, device:PATH:PORT, unix:PATH"));
}

absl::StatusOr<UniqueFd> ConnectSocket(const SocketAddress& address,
                                       const SocketOptions& options) {
  const absl::Time deadline = absl::Now() + options.wait;
  while (true) {
    absl::StatusOr<UniqueFd> fd = ConnectOnce(address, options);
    if (fd.ok() || !absl::IsUnavailable(fd.status()) ||
        absl::Now() >= deadline) {
      return fd;
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
}

absl::StatusOr<UniqueFd> ListenSocket(const SocketAddress& address,
                                      const SocketOptions& options) {
  UniqueFd fd(::socket(address.kind == Kind::kVsock ? AF_VSOCK : AF_UNIX,
                       TypeOf(options), 0));
  if (!fd.valid()) return ConnectionError("socket");
  int bound = -1;
  if (address.kind == Kind::kVsock) {
    const sockaddr_vm target = VmAddress(address);
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&target),
                   sizeof(target));
  } else {
    const std::string path = address.kind == Kind::kDevice
                                 ? absl::StrCat(address.path, "_", address.port)
                                 : address.path;
    ANNULUS_ASSIGN_OR_RETURN(const sockaddr_un target, UnixAddress(path));
    ::unlink(path.c_str());
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&target),
                   sizeof(target));
  }
  if (bound != 0) return ConnectionError("bind");
  if (::listen(fd.get(), kBacklog) != 0) return ConnectionError("listen");
  return fd;
}

absl::Status SetTimeouts(int fd, const SocketOptions& options) {
  const timeval timeout = absl::ToTimeval(options.timeout);
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (::setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout)) != 0) {
      return ConnectionError("SO_RCVTIMEO, SO_SNDTIMEO");
    }
  }
  return absl::OkStatus();
}

absl::Status ConnectionError(absl::string_view what) {
  const int error = errno;
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case EAGAIN:
      return absl::DeadlineExceededError(absl::StrCat(what, ": timeout"));
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
      return absl::AbortedError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace annulus::guest_user
