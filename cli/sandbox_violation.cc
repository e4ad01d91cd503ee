#include "cli/sandbox_violation.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "absl/strings/string_view.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/syscall_names.h"

namespace annulus::cli {
namespace {

// A line that is put together without memory of anybody else's.
class Line {
 public:
  void Add(absl::string_view text) {
    for (const char c : text) {
      if (size_ < text_.size()) text_[size_++] = c;
    }
  }
  void Add(unsigned int number) {
    std::array<char, 10> digits;
    size_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count > 0) Add({&digits[--count], 1});
  }
  void Print() const { (void)!::write(STDERR_FILENO, text_.data(), size_); }

 private:
  std::array<char, 320> text_ = {};
  size_t size_ = 0;
};

// Async-signal-safe, and makes no call but write(2), which every list has.
void OnViolation(int /*signal*/, siginfo_t* info, void* /*context*/) {
  constexpr int kFilter = 1;  // SYS_SECCOMP of the kernel's <asm/siginfo.h>.
  if (info->si_code == kFilter) {
    Line line;
    line.Add("annulus: sandbox: thread \"");
    line.Add(SandboxedThreadName());
    line.Add("\" made system call ");
    line.Add(SyscallName(info->si_syscall));
    line.Add(" (");
    line.Add(static_cast<unsigned int>(info->si_syscall));
    line.Add(
        "), which it has no business with; if that is the C library's, "
        "--sandbox=log tells what else it needs (docs/sandbox.md)\n");
    line.Print();
  }
  // SA_RESETHAND: this one ends the process. No list has it; and where there is
  // no filter, the signal came from somebody who wanted that.
  ::raise(SIGSYS);
}

}  // namespace

absl::Status HandleSandboxViolations() {
  struct sigaction action = {};
  action.sa_sigaction = &OnViolation;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER;
  if (::sigaction(SIGSYS, &action, nullptr) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "installing a handler of SIGSYS");
}

}  // namespace annulus::cli
