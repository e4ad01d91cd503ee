#ifndef CLI_VSOCK_RELAY_H_
#define CLI_VSOCK_RELAY_H_

#include "absl/status/status.h"

namespace annulus::cli {

struct RelayEnds {
  int socket = -1;  // Connected, blocking.
  int input = -1;   // To the socket; -1: it has ended before.
  int output = -1;  // From the socket.
  // A socket of messages: each read of `input` becomes one, at most 64 KiB, and
  // each that comes is written to `output` as it is.
  bool messages = false;
  // At the end of what comes `output` is closed, so that its reader sees it
  // although `input` may go on.
  bool close_output = false;
};

struct RelayResult {
  absl::Status status;         // What ended it early; one line.
  bool input_ended = false;    // It was read to its end.
  bool output_failed = false;  // Nobody takes what comes any more.
};

// Copies both ways until both are done. The end of `input` is told to the other
// side (shutdown(2)), which may go on sending; its end likewise does not end
// what it is sent, unless it closed the whole connection. Neither direction
// waits for the other.
//
// REQUIRES: SIGPIPE is ignored.
RelayResult Relay(const RelayEnds& ends);

}  // namespace annulus::cli

#endif  // CLI_VSOCK_RELAY_H_
