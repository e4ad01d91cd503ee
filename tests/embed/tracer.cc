#include "tests/embed/tracer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "base/check.h"
#include "base/unique_fd.h"
#include "tests/embed/markers.h"

namespace annulus {
namespace {

constexpr size_t kMostKept = 100;
constexpr unsigned kHangSeconds = 120;

// In the child: stops, so that its tracer can say how it wants to trace.
[[noreturn]] void Become(std::vector<char*>& arguments, int output) {
  ::dup2(output, STDOUT_FILENO);
  ::alarm(kHangSeconds);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::raise(SIGSTOP);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

class Tracer {
 public:
  Tracer(Trace& trace, bool (*keep)(const SystemCall&))
      : trace_(trace), keep_(keep) {}

  // To the end of `program` and of all that came of it.
  void Run(pid_t program) {
    int status = 0;
    while (true) {
      const pid_t thread = ::waitpid(-1, &status, __WALL);
      if (thread < 0) return;  // ECHILD
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        if (thread == program) {
          trace_.exit_code =
              WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        }
        continue;
      }
      ::ptrace(PTRACE_SYSCALL, thread, nullptr, SignalFor(thread, status));
    }
  }

 private:
  // Looks at a stop, and says which signal the thread is to get after it.
  long SignalFor(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      Look(thread);
      return 0;
    }
    if (status >> 16 != 0) return 0;  // A new thread, or an exec.
    if (signal == SIGSTOP) return 0;  // A new thread's first.
    return signal;
  }

  void Look(pid_t thread) {
    __ptrace_syscall_info info = {};
    ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    SystemCall call;
    call.thread = thread;
    call.number = info.entry.nr;
    std::copy(std::begin(info.entry.args), std::end(info.entry.args),
              call.arguments.begin());
    if (call.number == SYS_getppid && call.arguments[0] == kMarkerMagic) {
      const auto marker = static_cast<Marker>(call.arguments[1]);
      trace_.started |= marker == Marker::kStarted;
      trace_.gone |= marker == Marker::kGone;
      return;
    }
    if (!trace_.started || trace_.gone) return;
    ++trace_.counts[call.number];
    if (keep_(call) && trace_.kept.size() < kMostKept) {
      trace_.kept.push_back(call);
    }
  }

  Trace& trace_;
  bool (*const keep_)(const SystemCall&);
};

}  // namespace

Trace TraceProgram(const std::vector<std::string>& arguments,
                   bool (*keep)(const SystemCall& call)) {
  Trace trace;
  const UniqueFd output(::memfd_create("output", MFD_CLOEXEC));
  ANNULUS_CHECK(output.valid());
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers;
  for (std::string& copy : copies) pointers.push_back(copy.data());
  pointers.push_back(nullptr);
  const pid_t program = ::fork();
  ANNULUS_CHECK(program >= 0);
  if (program == 0) Become(pointers, output.get());
  int status = 0;
  ANNULUS_CHECK(::waitpid(program, &status, 0) == program &&
                WIFSTOPPED(status));
  constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                            PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  ANNULUS_CHECK(::ptrace(PTRACE_SETOPTIONS, program, nullptr, kOptions) == 0);
  ::ptrace(PTRACE_SYSCALL, program, nullptr, nullptr);
  Tracer(trace, keep).Run(program);
  char buffer[4096];
  ssize_t count;
  off_t at = 0;
  while ((count = ::pread(output.get(), buffer, sizeof(buffer), at)) > 0) {
    trace.output.append(buffer, static_cast<size_t>(count));
    at += count;
  }
  return trace;
}

}  // namespace annulus
