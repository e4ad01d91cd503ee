#ifndef BASE_THREAD_H_
#define BASE_THREAD_H_

#include <pthread.h>
#include <signal.h>

#include <functional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/thread_setup.h"

namespace annulus {

// A named thread that blocks every signal but those that a fault of its own
// raises (SIGSEGV and the like): no other handler of the embedding process ever
// runs on a thread of the library. Failure to start is a Status; std::thread
// would throw.
//
// Threads: thread-compatible.
class Thread {
 public:
  // Of `name`, 15 bytes are seen in /proc. `body` runs on the new thread, after
  // what the ThreadSetup in force, if any, does there.
  static absl::StatusOr<Thread> Start(absl::string_view name,
                                      std::function<void()> body,
                                      ThreadKind kind = ThreadKind::kControl);

  // Those that such a thread blocks.
  static sigset_t BlockedSignals();

  Thread() = default;  // No thread.
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();  // Joins.

  // Waits until `body` has returned. A no-op without a thread.
  void Join();

  bool joinable() const { return joinable_; }
  // REQUIRES: joinable().
  pthread_t handle() const { return handle_; }

 private:
  explicit Thread(pthread_t handle) : handle_(handle), joinable_(true) {}

  pthread_t handle_ = {};
  bool joinable_ = false;
};

}  // namespace annulus

#endif  // BASE_THREAD_H_
