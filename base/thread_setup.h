#ifndef BASE_THREAD_SETUP_H_
#define BASE_THREAD_SETUP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace annulus {

// What a thread of the library is there for, which decides what it has to ask
// of the kernel.
enum class ThreadKind : uint8_t {
  kVcpu,         // Enters the guest, and serves its exits.
  kQueue,        // Serves virtqueues that carry data.
  kSocketQueue,  // Likewise, those of a socket device: connects and accepts.
  kVhostUser,    // Speaks with a front-end or a back-end.
  kControl,      // All the rest: event loops, watchers, the console.
};

// What each new thread of the library does before anything else, such as to
// lock itself up.
//
// Threads: EnterThread() on the new threads, several at a time.
class ThreadSetup {
 public:
  virtual ~ThreadSetup() = default;

  // An error keeps the thread from running, and is what Thread::Start()
  // returns, or ThreadEntries::Await().
  virtual absl::Status EnterThread(ThreadKind kind, absl::string_view name) = 0;
};

// While this lives, `setup` is that of the threads that the current thread
// starts, and of those that they start. It outlives all of them. Devices make
// their threads where they are created, far below whoever knows of the setup;
// to be a property of the thread keeps it from being one of the process.
//
// Threads: made and destroyed on one thread; they nest.
class ScopedThreadSetup {
 public:
  explicit ScopedThreadSetup(ThreadSetup* setup);
  ~ScopedThreadSetup();
  ScopedThreadSetup(const ScopedThreadSetup&) = delete;
  ScopedThreadSetup& operator=(const ScopedThreadSetup&) = delete;

  // That of the current thread, or null.
  static ThreadSetup* Current();

 private:
  ThreadSetup* const before_;
};

}  // namespace annulus

#endif  // BASE_THREAD_SETUP_H_
