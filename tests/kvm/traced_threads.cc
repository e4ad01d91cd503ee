// For tools/sandbox_report: with ANNULUS_TRACE_THREADS=FILE in the environment,
// the library's threads in this test are in a sandbox that says in FILE which
// system calls they use, and denies none. It is part of each test of this
// folder.

#include <fcntl.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/log_sink.h"
#include "base/settle_heap.h"
#include "base/thread_setup.h"
#include "vmm/sandbox/sandbox.h"

namespace annulus {
namespace {

class TracedThreads {
 public:
  TracedThreads() {
    const char* const report = std::getenv("ANNULUS_TRACE_THREADS");
    if (report == nullptr) return;
    // As Sandbox::LockProcess() does.
    SettleHeap();
    SandboxOptions options;
    options.mode = SandboxMode::kTrace;
    options.report_fd =
        ::open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    auto sandbox = Sandbox::Create(std::move(options), NullLogSink());
    ANNULUS_CHECK(sandbox.ok());
    sandbox_ = *std::move(sandbox);
    setup_ = std::make_unique<ScopedThreadSetup>(sandbox_.get());
  }

 private:
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<ScopedThreadSetup> setup_;  // Of the main thread.
};

const TracedThreads traced_threads;

}  // namespace
}  // namespace annulus
