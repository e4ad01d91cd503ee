#ifndef TESTS_GUEST_USER_VSOCK_CLIENT_H_
#define TESTS_GUEST_USER_VSOCK_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/guest_user/vsock_address.h"
#include "tests/guest_user/vsock_transfer.h"

namespace annulus::guest_user {

// Whom a client asks, and how.
struct ClientOptions {
  SocketAddress address;
  SocketOptions socket;
  uint64_t bytes = 1 << 20;
  uint64_t count = 100;
  uint64_t seed = 1;
  uint32_t chunk_bytes = 65536;
  absl::Duration delay = absl::ZeroDuration();
  bool unchecked = false;
  bool receive = false;  // The other direction.
};

// Each: what is to be printed about a success, "key=value ...". They check
// that the bytes are the right ones, in order, and that the other end has seen
// the same.

// `bytes` to the server, or from it.
absl::StatusOr<std::string> Transfer(const ClientOptions& options);
// Through the server and back, both ways at the same time.
absl::StatusOr<std::string> EchoStream(const ClientOptions& options);
// Half-close: a request of `bytes` whose end is our SHUT_WR, then the answer;
// with `receive` it is the server that asks.
absl::StatusOr<std::string> HalfClose(const ClientOptions& options);
// `count` messages of 1 to `chunk_bytes` bytes there and back, one by one.
absl::StatusOr<std::string> Messages(const ClientOptions& options);
// `count` round trips of `bytes`.
absl::StatusOr<std::string> Ping(const ClientOptions& options);

// `count` connections one after the other; every fourth is closed at once.
absl::StatusOr<std::string> Churn(const ClientOptions& options);
// `count` connections at the same time.
absl::StatusOr<std::string> Hold(const ClientOptions& options);
// The server, or with `receive` the client, does not read for `delay`, while a
// second connection is used; then all has to come.
absl::StatusOr<std::string> Stall(const ClientOptions& options);
// Sends, or receives, until the connection is taken away; prints "started"
// when it runs.
absl::StatusOr<std::string> Endless(const ClientOptions& options);
// OK if no connection of the server has failed.
absl::StatusOr<std::string> Failures(const ClientOptions& options);

// sd_notify: sends the words as messages, or as lines of a stream; shuts its
// half down, and waits until the receiver has closed.
absl::StatusOr<std::string> Notify(const ClientOptions& options,
                                   const std::vector<std::string>& words);
// The receiver of one of them.
absl::StatusOr<std::string> AwaitNotification(const ClientOptions& options);
// For a peer that is another program: accepts one connection, and sends back
// what comes, until its end.
absl::StatusOr<std::string> ReturnAll(const ClientOptions& options);

// A connection to the address on which `request` has been sent.
absl::StatusOr<UniqueFd> OpenTransfer(const ClientOptions& options,
                                      const TransferRequest& request);
TransferRequest RequestFor(const ClientOptions& options,
                           TransferRequest::Operation operation);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VSOCK_CLIENT_H_
