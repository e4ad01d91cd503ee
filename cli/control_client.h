#ifndef CLI_CONTROL_CLIENT_H_
#define CLI_CONTROL_CLIENT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "proto/control.pb.h"
#include "vmm/control/delimited_message.h"

namespace annulus::cli {

// A client of a virtual machine's control socket.
//
// Threads: thread-compatible. Waits, but for no longer than it was given.
// Trust: replies are untrusted: checked, bounded, and not yet fit for a
//   terminal.
class ControlClient {
 public:
  // Errors say which socket, and why.
  static absl::StatusOr<ControlClient> Connect(absl::string_view path,
                                               absl::Duration timeout);

  // For an end of a connection that is made already.
  explicit ControlClient(UniqueFd socket) : socket_(std::move(socket)) {}

  // Sends a request and returns its reply. What the machine refused is an error
  // of its code and text. REQUIRES: no events were asked for.
  absl::StatusOr<proto::ControlReply> Call(const proto::ControlRequest& request,
                                           absl::Duration timeout);

  absl::Status Send(const proto::ControlRequest& request);
  // The next reply; nothing: the machine has closed the connection.
  absl::StatusOr<std::optional<proto::ControlReply>> Receive(
      absl::Duration timeout);

 private:
  UniqueFd socket_;
  DelimitedReader reader_{kMaxControlReply};
};

// The next of the replies that `reader` has got; nothing, if the rest is yet to
// come.
absl::StatusOr<std::optional<proto::ControlReply>> NextReply(
    DelimitedReader& reader);

// What a reply says of its request.
absl::Status StatusOf(const proto::ControlReply& reply);

}  // namespace annulus::cli

#endif  // CLI_CONTROL_CLIENT_H_
