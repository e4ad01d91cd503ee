// Each kind of thread is killed by what it has no business with, and goes on
// with what it needs.

#include "vmm/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/thread.h"
#include "gtest/gtest.h"
#include "vmm/kvm/kvm_abi.h"
#include "vmm/sandbox/forked_child.h"

namespace annulus {
namespace {

using Call = std::function<int64_t()>;

// Runs `body` on a thread of `role`. 100: the sandbox itself failed.
int Inside(SandboxRole role, SandboxMode mode,
           const std::function<int()>& body) {
  SandboxOptions options;
  options.mode = mode;
  auto sandbox = Sandbox::Create(std::move(options), NullLogSink());
  if (!sandbox.ok() || !(*sandbox)->LockProcess().ok()) return 100;
  const ScopedThreadSetup setup(&(*sandbox)->setup_of(role));
  int code = 100;
  auto thread = Thread::Start("test", [&] { code = body(); });
  if (thread.ok()) thread->Join();
  return code;
}

// Whether `call` kills a thread of `role`.
bool Kills(SandboxRole role, const Call& call) {
  const ChildEnd end = InChild([&] {
    return Inside(role, SandboxMode::kOn, [&call] {
      call();
      return 0;
    });
  });
  EXPECT_TRUE(end.signal == SIGSYS || end.exit_code == 0)
      << "signal " << end.signal << ", exit code " << end.exit_code;
  return end.signal == SIGSYS;
}

struct NamedCall {
  std::string name;
  Call call;
};

// An argument as the kernel takes it: all of its bits.
int64_t Word(int64_t value) { return value; }
const void* Word(const void* value) { return value; }

// Nobody's business.
std::vector<NamedCall> AlwaysForbidden() {
  const auto call = [](int number, auto... arguments) -> Call {
    return [=] { return ::syscall(number, Word(arguments)...); };
  };
  return {
      {"socket(AF_INET)", call(SYS_socket, AF_INET, SOCK_STREAM, 0)},
      {"socket(AF_INET6)", call(SYS_socket, AF_INET6, SOCK_DGRAM, 0)},
      {"socket(AF_NETLINK)", call(SYS_socket, AF_NETLINK, SOCK_RAW, 0)},
      {"socket(AF_VSOCK)", call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0)},
      {"socketpair(AF_TIPC)",
       call(SYS_socketpair, AF_TIPC, SOCK_STREAM, 0, nullptr)},
      {"sendto to somebody",
       call(SYS_sendto, 0, "x", 1, 0, "\1\0/no/such", 12)},
      {"openat for reading", call(SYS_openat, AT_FDCWD, "/etc/passwd", 0)},
      {"openat for writing",
       call(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC)},
      {"openat that creates", call(SYS_openat, AT_FDCWD, "/no/such",
                                   O_RDONLY | O_CREAT | O_CLOEXEC, 0600)},
      {"open", call(SYS_open, "/etc/passwd", O_RDONLY | O_CLOEXEC)},
      {"openat2", call(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0)},
      {"execve", call(SYS_execve, "/bin/true", nullptr, nullptr)},
      {"execveat", call(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, 0)},
      {"clone", call(SYS_clone, SIGCHLD, 0, 0, 0, 0)},
      {"clone3", call(SYS_clone3, nullptr, 0)},
      {"fork", call(SYS_fork)},
      {"vfork", call(SYS_clone, CLONE_VM | CLONE_VFORK, 0, 0, 0, 0)},
      {"ptrace", call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)},
      {"process_vm_readv", call(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0)},
      {"pidfd_open", call(SYS_pidfd_open, 1, 0)},
      {"kill", call(SYS_kill, ::getpid(), 0)},
      {"tgkill of another process",
       call(SYS_tgkill, ::getpid(), ::getpid(), SIGURG)},  // The parent.
      {"tkill", call(SYS_tkill, 1, SIGURG)},
      {"rt_sigqueueinfo", call(SYS_rt_sigqueueinfo, 1, SIGURG, nullptr)},
      {"rt_sigaction", call(SYS_rt_sigaction, SIGSYS, nullptr, nullptr, 8)},
      {"sigaltstack", call(SYS_sigaltstack, nullptr, nullptr)},
      {"prctl", call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)},
      {"arch_prctl", call(SYS_arch_prctl, 0x1001, 0)},
      {"seccomp", call(SYS_seccomp, 0, 0, nullptr)},
      {"mmap(PROT_EXEC)", call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)},
      {"mmap of a file", call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 0, 0)},
      {"mprotect(PROT_EXEC)",
       call(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC)},
      {"pkey_mprotect", call(SYS_pkey_mprotect, 0, 4096, PROT_EXEC, -1)},
      {"ioctl(TIOCSTI)", call(SYS_ioctl, 0, TIOCSTI, nullptr)},
      {"ioctl(TUNSETIFF)", call(SYS_ioctl, 0, TUNSETIFF, nullptr)},
      {"ioctl(KVM_CREATE_VM)", call(SYS_ioctl, 0, KVM_CREATE_VM, 0)},
      {"ioctl(KVM_SET_USER_MEMORY_REGION)",
       call(SYS_ioctl, 0, KVM_SET_USER_MEMORY_REGION, nullptr)},
      {"fcntl(F_SETOWN)", call(SYS_fcntl, 0, F_SETOWN, 1)},
      {"setsockopt(SOL_IP)",
       call(SYS_setsockopt, 0, IPPROTO_IP, 1, nullptr, 0)},
      {"io_uring_setup", call(SYS_io_uring_setup, 1, nullptr)},
      {"bpf", call(SYS_bpf, 0, nullptr, 0)},
      {"userfaultfd", call(SYS_userfaultfd, 0)},
      {"perf_event_open", call(SYS_perf_event_open, nullptr, 0, 0, 0, 0)},
      {"unshare", call(SYS_unshare, CLONE_NEWUSER)},
      {"setns", call(SYS_setns, 0, 0)},
      {"mount", call(SYS_mount, nullptr, "/", nullptr, 0, nullptr)},
      {"chdir", call(SYS_chdir, "/")},
      {"chmod", call(SYS_chmod, "/no/such", 0777)},
      {"rename", call(SYS_rename, "/no/such", "/no/such")},
      {"getdents64", call(SYS_getdents64, 0, nullptr, 0)},
      {"setuid", call(SYS_setuid, 0)},
      {"capset", call(SYS_capset, nullptr, nullptr)},
      {"keyctl", call(SYS_keyctl, 0, 0, 0, 0, 0)},
      {"a number of no call", call(1000)},
      // The number of getpid, as x32 says it.
      {"another architecture", call(0x40000000 + SYS_getpid)},
  };
}

class RoleTest : public testing::TestWithParam<SandboxRole> {};

TEST_P(RoleTest, WhatIsNobodysBusinessKills) {
  for (const NamedCall& forbidden : AlwaysForbidden()) {
    EXPECT_TRUE(Kills(GetParam(), forbidden.call)) << forbidden.name;
  }
}

TEST_P(RoleTest, WhatIsOfOthersKills) {
  using enum SandboxRole;
  const struct {
    std::string name;
    Call call;
    std::vector<SandboxRole> allowed;
  } kCases[] = {
      {"ioctl(KVM_RUN)", [] { return ::ioctl(-1, KVM_RUN, 0); }, {kVcpu}},
      {"ioctl(KVM_IRQFD)",
       [] { return ::ioctl(-1, KVM_IRQFD, nullptr); },
       {kMain}},
      {"socket(AF_UNIX)",
       [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); },
       {kSocketQueue, kVhostUser}},
      {"connect",
       [] { return ::connect(-1, nullptr, 0); },
       {kSocketQueue, kVhostUser}},
      {"accept4",
       [] { return ::accept4(-1, nullptr, nullptr, 0); },
       {kSocketQueue, kVhostUser, kControl}},
      {"mmap(MAP_SHARED)",
       [] {
         return ::syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, -1, 0);
       },
       {kVhostUser}},
      {"memfd_create",
       [] { return ::syscall(SYS_memfd_create, "test", 0); },
       {kVhostUser}},
      {"unlink",
       [] { return ::syscall(SYS_unlink, "/no/such"); },
       {kSocketQueue, kMain}},
      {"bind", [] { return ::bind(-1, nullptr, 0); }, {kSocketQueue}},
      {"listen", [] { return ::listen(-1, 1); }, {kSocketQueue}},
      {"fchmod", [] { return ::fchmod(-1, 0777); }, {kSocketQueue}},
      {"ioctl(TCSETS)",
       [] { return ::ioctl(-1, TCSETS, nullptr); },
       {kConsole, kMain}},
      {"tgkill(this process, SIGURG)",
       [] { return ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGURG); },
       {kVcpu, kControl, kConsole, kMain}},
  };
  for (const auto& one : kCases) {
    const bool allowed = std::find(one.allowed.begin(), one.allowed.end(),
                                   GetParam()) != one.allowed.end();
    EXPECT_EQ(Kills(GetParam(), one.call), !allowed) << one.name;
  }
}

TEST_P(RoleTest, WhatEveryThreadNeedsWorks) {
  const ChildEnd end = InChild([] {
    return Inside(GetParam(), SandboxMode::kOn, [] {
      // Heaps, small and large, that grow and shrink.
      for (size_t size = 16; size < (size_t{8} << 20); size *= 2) {
        void* const block = std::malloc(size);
        if (block == nullptr) return 1;
        std::free(block);
      }
      pollfd nobody = {.fd = -1, .events = 0, .revents = 0};
      if (::poll(&nobody, 1, 0) != 0) return 2;
      if (::write(STDERR_FILENO, "said", 4) != 4) return 3;
      // As malloc(3) asks for the number of processors.
      if (::open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC) >= 0 ||
          errno != EACCES) {
        return 5;
      }
      if (::syscall(SYS_sched_getaffinity, 0, 0, nullptr) >= 0) return 4;
      return 42;
    });
  });
  EXPECT_EQ(end.exit_code, 42) << "signal " << end.signal;
  EXPECT_EQ(end.output, "said");
}

TEST_P(RoleTest, AFailedCheckIsSeenAsOne) {
  const ChildEnd end = InChild([] {
    return Inside(GetParam(), SandboxMode::kOn, []() -> int { std::abort(); });
  });
  EXPECT_EQ(end.signal, SIGABRT);
}

// A blocked signal would only be late.
TEST_P(RoleTest, WhoBlocksSigsysDiesAllTheSame) {
  EXPECT_TRUE(Kills(GetParam(), [] {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    return ::syscall(SYS_getppid);
  }));
}

std::string RoleName(const testing::TestParamInfo<SandboxRole>& info) {
  std::string name(NameOf(info.param));
  name.erase(std::remove_if(name.begin(), name.end(),
                            [](char c) { return c == ' ' || c == '-'; }),
             name.end());
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    All, RoleTest,
    testing::Values(SandboxRole::kVcpu, SandboxRole::kQueue,
                    SandboxRole::kSocketQueue, SandboxRole::kVhostUser,
                    SandboxRole::kControl, SandboxRole::kConsole,
                    SandboxRole::kMain),
    RoleName);

// Threads of the library, by way of their setup.

TEST(SandboxTest, ThreadsEnterBeforeTheyDoAnything) {
  const ChildEnd end = InChild([] {
    auto sandbox = Sandbox::Create({}, NullLogSink());
    if (!sandbox.ok() || !(*sandbox)->LockProcess().ok()) return 1;
    const ScopedThreadSetup setup(sandbox->get());
    // The starter is in no filter: it may start as many as it likes.
    for (int i = 0; i < 3; ++i) {
      auto thread = Thread::Start(
          "one", [] { ::clock(); }, ThreadKind::kQueue);
      if (!thread.ok()) return 2;
    }
    auto thread = Thread::Start(
        "one", [] { ::syscall(SYS_getppid); }, ThreadKind::kQueue);
    thread->Join();
    return 0;
  });
  EXPECT_EQ(end.signal, SIGSYS) << end.exit_code;
}

TEST(SandboxTest, ThreadsOfTheProgramHaveTheRoleThatItGivesThem) {
  const ChildEnd end = InChild([] {
    auto sandbox = Sandbox::Create({}, NullLogSink());
    if (!sandbox.ok() || !(*sandbox)->LockProcess().ok()) return 1;
    const ScopedThreadSetup setup(&(*sandbox)->setup_of(SandboxRole::kConsole));
    std::string name;
    {
      auto thread = Thread::Start("console", [&name] {
        ::ioctl(-1, TCSETS, nullptr);  // Which kControl may not.
        name = SandboxedThreadName();
      });
      if (!thread.ok()) return 2;
    }
    return name == "console" ? 0 : 3;
  });
  EXPECT_EQ(end.exit_code, 0) << end.signal;
}

// Log mode.

TEST(SandboxTest, LogModeNamesWhatIsMissingOnceAndLetsItPass) {
  const ChildEnd end = InChild([] {
    return Inside(SandboxRole::kQueue, SandboxMode::kLog, [] {
      if (::socket(AF_INET, SOCK_STREAM, 0) < 0) return 1;
      if (::socket(AF_INET, SOCK_STREAM, 0) < 0) return 2;
      if (::syscall(SYS_getppid) != ::getppid()) return 3;
      return 0;
    });
  });
  EXPECT_EQ(end.exit_code, 0) << end.signal;
  EXPECT_EQ(end.output,
            "annulus: sandbox: socket (41) with argument 1 = 0x2 of thread "
            "test is not in the list \"queue\"\n"
            "annulus: sandbox: getppid (110) of thread test is not in the "
            "list \"queue\"\n");
}

TEST(SandboxTest, LogModeIsSilentAboutWhatIsInTheList) {
  const ChildEnd end = InChild([] {
    return Inside(SandboxRole::kMain, SandboxMode::kLog, [] {
      pollfd nobody = {.fd = -1, .events = 0, .revents = 0};
      return ::poll(&nobody, 1, 0);
    });
  });
  EXPECT_EQ(end.exit_code, 0) << end.signal;
  EXPECT_EQ(end.output, "");
}

TEST(SandboxTest, TraceModeAlsoSaysWhatIsUsed) {
  const ChildEnd end = InChild([] {
    return Inside(SandboxRole::kVcpu, SandboxMode::kTrace, [] {
      ::ioctl(-1, KVM_RUN, 0);
      ::ioctl(-1, KVM_RUN, 0);
      ::ioctl(-1, TCGETS, nullptr);
      return 0;
    });
  });
  EXPECT_EQ(end.exit_code, 0) << end.signal;
  EXPECT_TRUE(absl::StrContains(end.output,
                                "annulus: sandbox: used: vcpu: ioctl(KVM_RUN)\n"
                                "annulus: sandbox: ioctl (16) with argument 2 "
                                "= 0x5401 of thread test is not in the list "
                                "\"vcpu\"\n"))
      << end.output;
}

TEST(SandboxTest, LogModeWatchesManyThreadsAtOnce) {
  const ChildEnd end = InChild([] {
    SandboxOptions options;
    options.mode = SandboxMode::kLog;
    auto sandbox = Sandbox::Create(std::move(options), NullLogSink());
    if (!sandbox.ok() || !(*sandbox)->LockProcess().ok()) return 1;
    const ScopedThreadSetup setup(sandbox->get());
    std::vector<Thread> threads;
    for (int i = 0; i < 20; ++i) {
      auto thread = Thread::Start(
          absl::StrCat("t", i),
          [] {
            for (int n = 0; n < 100; ++n) ::syscall(SYS_getppid);
          },
          ThreadKind::kQueue);
      if (!thread.ok()) return 2;
      threads.push_back(*std::move(thread));
    }
    return 0;
  });
  EXPECT_EQ(end.exit_code, 0) << end.signal;
  EXPECT_EQ(std::count(end.output.begin(), end.output.end(), '\n'), 1)
      << end.output;
}

}  // namespace
}  // namespace annulus
