#include "base/thread.h"

#include <signal.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace annulus {
namespace {

struct ThreadStart {
  std::string name;
  std::function<void()> body;
};

void* RunBody(void* argument) {
  const std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  start->body();
  return nullptr;
}

}  // namespace

absl::StatusOr<Thread> Thread::Start(absl::string_view name,
                                     std::function<void()> body) {
  // A longer name would be refused as a whole.
  auto owned = std::make_unique<ThreadStart>();
  owned->name = std::string(name.substr(0, 15));
  owned->body = std::move(body);
  // A new thread inherits the mask: it never runs with a signal unblocked.
  const sigset_t blocked = BlockedSignals();
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  pthread_t handle;
  const int error = pthread_create(&handle, nullptr, &RunBody, owned.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return absl::ErrnoToStatus(error,
                               absl::StrCat("starting thread \"", name, "\""));
  }
  (void)owned.release();  // RunBody() owns it now.
  return Thread(handle);
}

sigset_t Thread::BlockedSignals() {
  sigset_t set;
  sigfillset(&set);
  // Blocked, these would end the process past its crash reporter.
  for (const int fault :
       {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT}) {
    sigdelset(&set, fault);
  }
  return set;
}

Thread::Thread(Thread&& other) noexcept
    : handle_(other.handle_),
      joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    Join();
    handle_ = other.handle_;
    joinable_ = std::exchange(other.joinable_, false);
  }
  return *this;
}

Thread::~Thread() { Join(); }

void Thread::Join() {
  if (!std::exchange(joinable_, false)) return;
  pthread_join(handle_, nullptr);
}

}  // namespace annulus
