#ifndef CLI_STOP_SIGNALS_H_
#define CLI_STOP_SIGNALS_H_

#include <signal.h>

namespace annulus::cli {

// By which a user, a service manager or a terminal that goes away ends a
// program in good order.
inline constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};

inline void AddStopSignals(sigset_t& set) {
  for (const int signal : kStopSignals) sigaddset(&set, signal);
}

// These alone.
inline sigset_t StopSignalSet() {
  sigset_t set;
  sigemptyset(&set);
  AddStopSignals(set);
  return set;
}

}  // namespace annulus::cli

#endif  // CLI_STOP_SIGNALS_H_
