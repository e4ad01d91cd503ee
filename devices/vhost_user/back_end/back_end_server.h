#ifndef DEVICES_VHOST_USER_BACK_END_BACK_END_SERVER_H_
#define DEVICES_VHOST_USER_BACK_END_BACK_END_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_device.h"

namespace annulus::vhost_user {

// Where front-ends come from. Exactly one of the three.
struct BackEndEndpoint {
  UniqueFd listener = {};    // A listening unix stream socket, or
  UniqueFd connection = {};  // one that is connected: for its time alone, or
  // where a front-end listens: again and again. As UnixAddress::Create() has
  // it.
  std::string connect_path = {};
};

struct BackEndOptions {
  std::string name = "net0";  // Of threads and in log lines.
  // A file that keeps, across the end of this process, what the queues have in
  // flight, for front-ends that do not keep it for us (INFLIGHT_SHMFD); read
  // and written, created by the caller. Not valid: none.
  UniqueFd state_file = {};
  // Between two attempts to connect; the first is made at once.
  absl::Duration reconnect_delay = absl::Milliseconds(100);
};

// One device, served to one front-end after the other: a thread that waits for
// a connection, runs its session to its end, resets the device and begins
// again. What a front-end does wrong ends its own session.
//
// Threads: the methods are serialized by the caller; a thread of its own
// besides
//   those of the device.
// Trust: front-ends are untrusted.
class BackEndServer {
 public:
  // Starts the thread. `log` outlives the server. Fails where the host refuses
  // a thread or a descriptor, or the endpoint is no such socket.
  static absl::StatusOr<std::unique_ptr<BackEndServer>> Create(
      BackEndOptions options, BackEndEndpoint endpoint,
      std::unique_ptr<BackEndDevice> device, LogSink& log);

  BackEndServer(const BackEndServer&) = delete;
  BackEndServer& operator=(const BackEndServer&) = delete;
  virtual ~BackEndServer() = default;  // Stops.

  // Readable (POLLIN) once no front-end can come any more: the connection that
  // was given has ended, or failure() says why.
  virtual int finished_fd() const = 0;

  // What the host refused for good, so that no front-end can come any more;
  // names the device and the socket, and is in the log as well. OK: nothing.
  virtual absl::Status failure() const = 0;

  // Ends the session, if there is one, and the thread.
  virtual void Stop() = 0;

 protected:
  BackEndServer() = default;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_BACK_END_SERVER_H_
