#ifndef BASE_THREAD_ENTRIES_H_
#define BASE_THREAD_ENTRIES_H_

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace annulus {

// The threads that the current thread starts while this lives, on their way
// through their ThreadSetup. Thread::Start() does not wait for them one by one:
// they enter side by side, which for the dozen of a VM is several times as
// fast. Whoever starts them asks Await() before it builds on any of them; a
// thread that was refused has not run its body, and is there to be joined.
//
//     ThreadEntries entries;
//     absl::Status made = MakeThingsThatHaveThreads();
//     ANNULUS_RETURN_IF_ERROR(entries.Await());
//     return made;
//
// Threads: made, awaited and destroyed on one thread; they nest.
class ThreadEntries {
 public:
  ThreadEntries();
  ~ThreadEntries();  // Awaits.
  ThreadEntries(const ThreadEntries&) = delete;
  ThreadEntries& operator=(const ThreadEntries&) = delete;

  // That of the current thread, or null.
  static ThreadEntries* Current();

  // Until every thread begun so far has entered or was refused. The error is
  // that of the first that was.
  absl::Status Await();

  // Thread::Start()'s: of one more thread, on the starter, and what became of
  // it, on any thread. After its End() a thread does not know of this any more.
  void Begin();
  void End(absl::Status status);

 private:
  ThreadEntries* const before_;
  Mutex mu_;
  CondVar changed_;
  int pending_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus

#endif  // BASE_THREAD_ENTRIES_H_
