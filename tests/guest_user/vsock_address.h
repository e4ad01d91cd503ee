#ifndef TESTS_GUEST_USER_VSOCK_ADDRESS_H_
#define TESTS_GUEST_USER_VSOCK_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace annulus::guest_user {

// Where a program of vsock_peer listens or connects.
//
//   vsock:CID:PORT    a socket of the kernel; CID may be "any", to listen
//   device:PATH:PORT  the host's end of Annulus's device: connects to PATH, or
//                     PATH_seqpacket, and asks for the guest's PORT; listens at
//                     PATH_PORT
//   unix:PATH         that path
struct SocketAddress {
  enum class Kind { kVsock, kDevice, kUnix };

  Kind kind = Kind::kUnix;
  uint32_t cid = 0;
  uint32_t port = 0;
  std::string path;
};

struct SocketOptions {
  bool seqpacket = false;
  // Of each system call that may block; what takes longer is an error.
  absl::Duration timeout = absl::Seconds(60);
  // A connect is repeated that long while nobody is there.
  absl::Duration wait = absl::ZeroDuration();
};

absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text);

// Unavailable: nobody is there, or refuses. DeadlineExceeded: see timeout.
absl::StatusOr<UniqueFd> ConnectSocket(const SocketAddress& address,
                                       const SocketOptions& options);

// Unlinks what is at the path. The backlog is the longest that there is.
absl::StatusOr<UniqueFd> ListenSocket(const SocketAddress& address,
                                      const SocketOptions& options);

// Sets the timeouts of a socket that was accepted.
absl::Status SetTimeouts(int fd, const SocketOptions& options);

// From errno, for a connection: Aborted if it was reset or its end is gone,
// DeadlineExceeded if a timeout is over.
absl::Status ConnectionError(absl::string_view what);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VSOCK_ADDRESS_H_
