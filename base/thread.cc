#include "base/thread.h"

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/thread_entries.h"

namespace annulus {
namespace {

struct ThreadStart {
  std::string name;
  std::function<void()> body;
  ThreadKind kind;
  ThreadSetup* setup;
  ThreadEntries* entries;  // The starter's, until EnterThread(). With a setup.
};

// False: the thread is to end.
bool EnterThread(ThreadStart& start) {
  if (start.setup == nullptr) return true;
  absl::Status status = start.setup->EnterThread(start.kind, start.name);
  const bool ok = status.ok();
  start.entries->End(std::move(status));
  return ok;
}

void* RunBody(void* argument) {
  const std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  const ScopedThreadSetup inherited(start->setup);
  if (EnterThread(*start)) start->body();
  return nullptr;
}

}  // namespace

absl::StatusOr<Thread> Thread::Start(absl::string_view name,
                                     std::function<void()> body,
                                     ThreadKind kind) {
  auto owned = std::make_unique<ThreadStart>();
  // A longer name would be refused as a whole.
  owned->name = std::string(name.substr(0, 15));
  owned->body = std::move(body);
  owned->kind = kind;
  owned->setup = ScopedThreadSetup::Current();
  // It waits by itself, if nobody waits for several.
  std::optional<ThreadEntries> alone;
  if (owned->setup != nullptr && ThreadEntries::Current() == nullptr) {
    alone.emplace();
  }
  owned->entries = ThreadEntries::Current();
  if (owned->setup != nullptr) owned->entries->Begin();
  // A new thread inherits the mask: it never runs with a signal unblocked.
  const sigset_t blocked = BlockedSignals();
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  pthread_t handle;
  const int error = pthread_create(&handle, nullptr, &RunBody, owned.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    if (owned->setup != nullptr) owned->entries->End(absl::OkStatus());
    return absl::ErrnoToStatus(error,
                               absl::StrCat("starting thread \"", name, "\""));
  }
  (void)owned.release();  // RunBody() owns it now.
  Thread thread(handle);
  if (alone.has_value()) {
    if (absl::Status status = alone->Await(); !status.ok()) return status;
  }
  return thread;
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
