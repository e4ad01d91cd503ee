#include "cli/vsock_cleanup.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/stop_signals.h"

namespace annulus::cli {
namespace {

// For the handler, which may not allocate. Written while it cannot run.
std::array<char, 4096> path_to_remove;

extern "C" void RemoveAndDie(int signal) {
  ::unlink(path_to_remove.data());
  // SA_RESETHAND made it end the process; pending until this returns.
  ::raise(signal);
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction before;
  if (::sigaction(signal, nullptr, &before) != 0) return;
  if (before.sa_handler == SIG_IGN) return;
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

SignalsHeld::SignalsHeld() {
  const sigset_t held = StopSignalSet();
  ::pthread_sigmask(SIG_BLOCK, &held, &before_);
}

SignalsHeld::~SignalsHeld() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

RemoveOnSignal::RemoveOnSignal(const std::string& path) {
  const size_t bytes = std::min(path.size(), path_to_remove.size() - 1);
  std::copy_n(path.begin(), bytes, path_to_remove.begin());
  path_to_remove[bytes] = '\0';
  for (const int signal : kStopSignals) Handle(signal, &RemoveAndDie);
}

RemoveOnSignal::~RemoveOnSignal() {
  for (const int signal : kStopSignals) Handle(signal, SIG_DFL);
}

}  // namespace annulus::cli
