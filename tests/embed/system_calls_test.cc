// What the library asks of the kernel after Start() has returned, in all of its
// threads, seen by a tracer: it opens nothing, makes no process and changes
// nothing that is the whole process's.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/embed/tracer.h"
#include "tests/kvm/guest_vm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::Values;

constexpr char kTracedVm[] = "tests/embed/traced_vm";

// Everything else is a surprise. The list is of what cannot reach beyond
// descriptors and memory that the process has already.
bool IsSurprise(const SystemCall& call) {
  switch (call.number) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_ioctl:
    case SYS_close:
    case SYS_shutdown:
    case SYS_getsockopt:
    case SYS_setsockopt:  // Of one that it has accepted.
    case SYS_accept4:     // On a socket that listens already.
    case SYS_socketpair:  // One end goes over a socket that was passed.
    case SYS_poll:
    case SYS_ppoll:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_ctl:
    case SYS_futex:
    case SYS_sched_yield:
    case SYS_clock_nanosleep:
    case SYS_clock_gettime:
    case SYS_getrandom:
    case SYS_getpid:
    case SYS_gettid:
      return false;
    // Of the process's own memory.
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_brk:
      return false;
    case SYS_fcntl:  // The flags of such an end.
      return call.arguments[1] != F_SETFL;
    case SYS_mmap:
      return (call.arguments[3] & MAP_ANONYMOUS) == 0;
    // A thread blocks signals for itself, and is called back by one of its own.
    case SYS_rt_sigprocmask:
    case SYS_rt_sigtimedwait:
    case SYS_tgkill:
    case SYS_restart_syscall:
      return false;
    // A thread that Create() has made begins late, or ends. It names itself.
    case SYS_set_robust_list:
    case SYS_rseq:
    case SYS_exit:
      return false;
    case SYS_prctl:
      return call.arguments[0] != PR_SET_NAME;
    default:
      return true;
  }
}

std::string Describe(const std::vector<SystemCall>& calls) {
  return absl::StrJoin(calls, "\n",
                       [](std::string* out, const SystemCall& call) {
                         absl::StrAppend(out, "system call ", call.number, " (",
                                         absl::StrJoin(call.arguments, ", "),
                                         ") of thread ", call.thread);
                       });
}

Trace TraceGuest(const std::string& guest, TransportKind transport,
                 const std::string& mistake = "") {
  return TraceProgram(
      {kTracedVm, guest, transport == TransportKind::kPci ? "pci" : "mmio",
       mistake},
      &IsSurprise);
}

// For reports: which, and how often.
void PrintCounts(const Trace& trace) {
  for (const auto& [number, count] : trace.counts) {
    std::printf("  system call %3d: %d\n", static_cast<int>(number),
                static_cast<int>(count));
  }
}

class SystemCallsTest
    : public testing::TestWithParam<std::tuple<const char*, TransportKind>> {};

TEST_P(SystemCallsTest, NothingIsOpenedAfterStart) {
  SKIP_WITHOUT_KVM();
  const auto& [guest, transport] = GetParam();
  const Trace trace = TraceGuest(guest, transport);
  EXPECT_TRUE(trace.started && trace.gone) << trace.output;
  EXPECT_EQ(trace.exit_code, 0) << trace.output;
  if (guest != std::string("spin")) {
    EXPECT_THAT(trace.output, HasSubstr("\nPASS\n"));
  }
  EXPECT_TRUE(trace.kept.empty()) << Describe(trace.kept);
  // That there was something to see.
  EXPECT_GT(trace.counts.count(SYS_ioctl), 0u);
  EXPECT_GT(trace.counts.count(SYS_exit), 0u);
  PrintCounts(trace);
}

INSTANTIATE_TEST_SUITE_P(All, SystemCallsTest,
                         Combine(Values("rng", "hostile", "loopback", "vsock",
                                        "vsock_hostile", "spin"),
                                 Values(TransportKind::kMmio,
                                        TransportKind::kPci)));

TEST(SystemCallsTapTest, NothingIsOpenedAfterStart) {
  SKIP_WITHOUT_KVM();
  if (::access("/dev/net/tun", R_OK | W_OK) != 0 || ::geteuid() != 0) {
    GTEST_SKIP() << "no network namespace or tun device permitted";
  }
  for (const TransportKind transport :
       {TransportKind::kMmio, TransportKind::kPci}) {
    const Trace trace = TraceGuest("tap", transport);
    EXPECT_TRUE(trace.started && trace.gone) << trace.output;
    EXPECT_EQ(trace.exit_code, 0) << trace.output;
    EXPECT_THAT(trace.output, HasSubstr("echoed 20"));
    EXPECT_TRUE(trace.kept.empty()) << Describe(trace.kept);
    PrintCounts(trace);
  }
}

// The tracer itself: each of these is found, and nothing beside it.
class MistakeTest : public testing::TestWithParam<
                        std::tuple<const char*, std::vector<uint64_t>>> {};

TEST_P(MistakeTest, IsFound) {
  SKIP_WITHOUT_KVM();
  const auto& [mistake, wanted] = GetParam();
  const Trace trace = TraceGuest("spin", TransportKind::kPci, mistake);
  EXPECT_TRUE(trace.started && trace.gone) << trace.output;
  std::vector<uint64_t> found;
  for (const SystemCall& call : trace.kept) found.push_back(call.number);
  EXPECT_EQ(found, wanted) << Describe(trace.kept);
}

INSTANTIATE_TEST_SUITE_P(
    All, MistakeTest,
    Values(std::make_tuple("open", std::vector<uint64_t>{SYS_openat}),
           std::make_tuple("open_on_a_thread",
                           std::vector<uint64_t>{SYS_clone3, SYS_openat}),
           // free(3) would open a file here, but for SettleHeap().
           std::make_tuple("none_on_a_thread",
                           std::vector<uint64_t>{SYS_clone3}),
           std::make_tuple("socket", std::vector<uint64_t>{SYS_socket}),
           std::make_tuple("map_a_file",
                           std::vector<uint64_t>{SYS_openat, SYS_mmap}),
           std::make_tuple("fork",
                           std::vector<uint64_t>{SYS_clone, SYS_exit_group}),
           std::make_tuple("signal", std::vector<uint64_t>{SYS_rt_sigaction}),
           std::make_tuple("directory", std::vector<uint64_t>{SYS_chdir})));

}  // namespace
}  // namespace annulus
