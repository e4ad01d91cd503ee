#ifndef TESTS_BENCH_EMBED_BENCH_SANDBOX_H_
#define TESTS_BENCH_EMBED_BENCH_SANDBOX_H_

#include <memory>

#include "base/thread_setup.h"
#include "vmm/sandbox/sandbox.h"

namespace annulus::bench {

// The sandbox of `annulus run`, or nothing, where it is not wanted. What fails
// ends the process.
class BenchSandbox {
 public:
  explicit BenchSandbox(bool wanted);

  // Of the threads of a VM or a device; null without.
  ThreadSetup* setup() { return sandbox_.get(); }

  // Also the process and its own thread, for the one VM that it has. Everything
  // has been opened.
  void LockProcess();
  void EnterMainThread();

 private:
  std::unique_ptr<Sandbox> sandbox_;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_EMBED_BENCH_SANDBOX_H_
