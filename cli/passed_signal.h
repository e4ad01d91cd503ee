#ifndef CLI_PASSED_SIGNAL_H_
#define CLI_PASSED_SIGNAL_H_

#include <sys/signalfd.h>
#include <sys/types.h>

#include <cstdint>

namespace annulus::cli {

// Sends a signal on to a process that may have got it, too: who ends a service
// or a session tells all of its processes.
void PassSignal(pid_t pid, int signal);

// Tells what came twice from what was sent twice: one that was passed on, and
// one that was not, are the same signal if they are less than a second apart.
//
// Threads: thread-compatible.
class SignalsOnce {
 public:
  // Whether it is another one than the last.
  bool Counts(const signalfd_siginfo& info, int64_t now_ns);

 private:
  uint32_t signal_ = 0;  // The last; 0: none, or its twin has come.
  bool passed_ = false;
  int64_t at_ns_ = 0;
};

}  // namespace annulus::cli

#endif  // CLI_PASSED_SIGNAL_H_
