#ifndef TESTS_GUEST_USER_VSOCK_SERVER_H_
#define TESTS_GUEST_USER_VSOCK_SERVER_H_

#include <atomic>
#include <cstdint>
#include <list>

#include "absl/status/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "tests/guest_user/vsock_address.h"

namespace annulus::guest_user {

// Does what the clients of its connections ask for; see TransferRequest. A
// thread for each connection: one that does not read holds up no other.
//
// Threads: thread-compatible. Sockets are those of a test's peers: what a
//   client asks for is done, whatever it costs.
class TransferServer {
 public:
  TransferServer(UniqueFd listener, const SocketOptions& options)
      : listener_(std::move(listener)), options_(options) {}
  // Waits for those that are served.
  ~TransferServer();

  // Until accepting fails; shutdown(2) of the listener ends it.
  absl::Status Run();

 private:
  struct Session {
    UniqueFd socket;
    std::atomic<bool> done = false;  // Its thread has nothing more to do.
    Thread thread;                   // Last: runs on the fields above.
  };

  void Serve(Session& session);
  absl::Status Answer(int fd);

  const UniqueFd listener_;
  const SocketOptions options_;
  std::atomic<uint64_t> failures_ = 0;
  std::list<Session> sessions_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VSOCK_SERVER_H_
