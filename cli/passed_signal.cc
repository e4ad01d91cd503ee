#include "cli/passed_signal.h"

#include <signal.h>

namespace annulus::cli {
namespace {

constexpr int32_t kPassedOn = 0x616e6e75;  // "annu": no other program's.
constexpr int64_t kSameNs = 1'000'000'000;

}  // namespace

void PassSignal(pid_t pid, int signal) {
  sigval value;
  value.sival_int = kPassedOn;
  (void)::sigqueue(pid, signal, value);  // It may have ended.
}

bool SignalsOnce::Counts(const signalfd_siginfo& info, int64_t now_ns) {
  const bool passed = info.ssi_code == SI_QUEUE && info.ssi_int == kPassedOn;
  if (info.ssi_signo == signal_ && passed != passed_ &&
      now_ns - at_ns_ < kSameNs) {
    signal_ = 0;
    return false;
  }
  signal_ = info.ssi_signo;
  passed_ = passed;
  at_ns_ = now_ns;
  return true;
}

}  // namespace annulus::cli
