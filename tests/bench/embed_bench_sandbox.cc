#include "tests/bench/embed_bench_sandbox.h"

#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "base/log_sink.h"
#include "vmm/sandbox/sandbox_mode.h"
#include "vmm/sandbox/sandbox_role.h"

namespace annulus::bench {
namespace {

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "embed_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

}  // namespace

BenchSandbox::BenchSandbox(bool wanted) {
  if (!wanted) return;
  // For who is not root, the price of a list of one's own.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  auto sandbox = Sandbox::Create(
      {.mode = SandboxMode::kOn, .landlock = {}, .report_fd = 2},
      NullLogSink());
  Require(sandbox.status());
  sandbox_ = *std::move(sandbox);
}

void BenchSandbox::LockProcess() {
  if (sandbox_ != nullptr) Require(sandbox_->LockProcess());
}

void BenchSandbox::EnterMainThread() {
  if (sandbox_ == nullptr) return;
  Require(sandbox_->EnterThread(SandboxRole::kMain, "main"));
}

}  // namespace annulus::bench
