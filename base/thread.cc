#include "base/thread.h"

#include <signal.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace annulus {
namespace {

void* RunBody(void* argument) {
  const std::unique_ptr<std::function<void()>> body(
      static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}

}  // namespace

absl::StatusOr<Thread> Thread::Start(absl::string_view name,
                                     std::function<void()> body) {
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  // A new thread inherits the mask: it never runs with a signal unblocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t handle;
  const int error = pthread_create(&handle, nullptr, &RunBody, owned.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return absl::ErrnoToStatus(error,
                               absl::StrCat("starting thread \"", name, "\""));
  }
  (void)owned.release();  // RunBody() owns it now.
  // Fails only for a name that is too long, hence the cut.
  pthread_setname_np(handle, std::string(name.substr(0, 15)).c_str());
  return Thread(handle);
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
