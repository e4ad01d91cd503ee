#include "cli/sandbox_violation.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log_sink.h"
#include "gtest/gtest.h"
#include "vmm/sandbox/forked_child.h"
#include "vmm/sandbox/sandbox.h"

namespace annulus::cli {
namespace {

TEST(SandboxViolationTest, TheLineNamesThreadAndCallAndTheProcessDiesOfIt) {
  const ChildEnd end = InChild([] {
    if (!HandleSandboxViolations().ok()) return 1;
    auto sandbox = Sandbox::Create({}, NullLogSink());
    if (!sandbox.ok() || !(*sandbox)->LockProcess().ok()) return 2;
    if (!(*sandbox)->EnterThread(SandboxRole::kQueue, "net0/rx0").ok()) {
      return 3;
    }
    ::syscall(SYS_getppid);
    return 0;
  });
  EXPECT_EQ(end.signal, SIGSYS);
  EXPECT_EQ(end.output,
            "annulus: sandbox: thread \"net0/rx0\" made system call getppid "
            "(110), which it has no business with; if that is the C library's, "
            "--sandbox=log tells what else it needs (docs/sandbox.md)\n");
}

TEST(SandboxViolationTest, ASignalThatSomebodySentEndsTheProcessWithoutALine) {
  const ChildEnd end = InChild([] {
    if (!HandleSandboxViolations().ok()) return 1;
    ::raise(SIGSYS);
    return 0;
  });
  EXPECT_EQ(end.signal, SIGSYS);
  EXPECT_EQ(end.output, "");
}

}  // namespace
}  // namespace annulus::cli
