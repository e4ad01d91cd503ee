#include "base/thread_entries.h"

#include <utility>

namespace annulus {
namespace {

thread_local ThreadEntries* current_entries = nullptr;

}  // namespace

ThreadEntries::ThreadEntries()
    : before_(std::exchange(current_entries, this)) {}

ThreadEntries::~ThreadEntries() {
  Await().IgnoreError();
  current_entries = before_;
}

ThreadEntries* ThreadEntries::Current() { return current_entries; }

absl::Status ThreadEntries::Await() {
  MutexLock lock(mu_);
  while (pending_ > 0) changed_.Wait(mu_);
  return first_error_;
}

void ThreadEntries::Begin() {
  MutexLock lock(mu_);
  ++pending_;
}

void ThreadEntries::End(absl::Status status) {
  MutexLock lock(mu_);
  first_error_.Update(std::move(status));
  --pending_;
  // Under mu_: whoever waits may be the end of this.
  changed_.NotifyAll();
}

}  // namespace annulus
