#ifndef CLI_VSOCK_CLEANUP_H_
#define CLI_VSOCK_CLEANUP_H_

#include <signal.h>

#include <string>

namespace annulus::cli {

// While it lives, SIGINT, SIGTERM and SIGHUP wait: for what has to be done as
// one.
//
// Threads: of the calling one.
class SignalsHeld {
 public:
  SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld();

 private:
  sigset_t before_;
};

// While it lives, SIGINT, SIGTERM and SIGHUP remove a file before they end the
// process as ever. Those that are ignored stay ignored.
//
// Threads: one of these at a time, in a program of ours, not in a library.
class RemoveOnSignal {
 public:
  // A path of at most 4095 bytes.
  explicit RemoveOnSignal(const std::string& path);
  RemoveOnSignal(const RemoveOnSignal&) = delete;
  RemoveOnSignal& operator=(const RemoveOnSignal&) = delete;
  ~RemoveOnSignal();
};

}  // namespace annulus::cli

#endif  // CLI_VSOCK_CLEANUP_H_
