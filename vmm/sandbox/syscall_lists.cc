#include "vmm/sandbox/syscall_lists.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

#include <cerrno>

#include "absl/types/span.h"
#include "vmm/kvm/kvm_abi.h"

// What is here, and for whom, is what runs were seen to use:
// tools/sandbox_report watches them, and names each line that none of them
// needed. To add one is to say why; see docs/sandbox.md "A call that is
// missing".

namespace annulus {
namespace {

// Argument `index`, which the kernel takes as 32 bits, whatever is above.
constexpr ArgumentCheck Is(uint8_t index, uint64_t value) {
  return {.index = index, .mask = 0xffffffff, .value = value};
}
constexpr ArgumentCheck HasBits(uint8_t index, uint64_t bits) {
  return {.index = index, .mask = bits, .value = bits};
}
constexpr ArgumentCheck HasNot(uint8_t index, uint64_t bits) {
  return {.index = index, .mask = bits, .value = 0};
}
constexpr ArgumentCheck IsNull(uint8_t index) {
  return {.index = index, .mask = ~uint64_t{0}, .value = 0};
}
constexpr ArgumentCheck IsThisProcess(uint8_t index) {
  return {.index = index, .mask = 0xffffffff, .own_process = true};
}

constexpr SyscallRule Allow(int number, const char* name, const char* why,
                            ArgumentCheck first = {},
                            ArgumentCheck second = {}) {
  return {
      .number = number, .name = name, .why = why, .checks = {first, second}};
}
// What no run of tools/sandbox_report meets, since it takes a fault of ours, an
// attack, a shortage, or a front-end or a guest of another kind.
constexpr SyscallRule Seldom(SyscallRule rule) {
  rule.seldom = true;
  return rule;
}
constexpr SyscallRule Ioctl(uint64_t request, const char* name,
                            const char* why) {
  return Allow(SYS_ioctl, name, why, Is(1, request));
}

// What a thread of any kind may come to do.
constexpr SyscallRule kEverywhere[] = {
    Allow(SYS_futex, "futex", "locks; waits for another thread"),
    Allow(SYS_read, "read", "from eventfds, the console"),
    Allow(SYS_preadv2, "preadv2", "from eventfds, without waiting"),
    Allow(SYS_write, "write", "to eventfds, the console, the log"),
    Allow(SYS_sendto, "sendto(no address)",
          "data, messages; the log, if it is a socket", IsNull(4)),
    Allow(SYS_close, "close", "what it has no use for any more"),
    Allow(SYS_poll, "poll", "waits for any of several descriptors"),
    Allow(SYS_restart_syscall, "restart_syscall",
          "a wait goes on after the process was stopped or frozen"),
    Allow(SYS_gettid, "gettid", "log lines; to call a vCPU back"),
    Allow(SYS_getpid, "getpid", "to call a vCPU back"),
    Allow(SYS_clock_gettime, "clock_gettime",
          "CPU time; hosts whose clock is not in the vDSO"),
    // malloc(3) and free(3).
    Allow(SYS_brk, "brk", "the first heap grows and shrinks"),
    Allow(SYS_mmap, "mmap(anonymous, not executable)", "heaps of threads",
          HasNot(2, PROT_EXEC), HasBits(3, MAP_ANONYMOUS)),
    Allow(SYS_munmap, "munmap", "heaps and stacks; a front-end's memory"),
    Allow(SYS_mprotect, "mprotect(not executable)", "heaps of threads grow",
          HasNot(2, PROT_EXEC)),
    Allow(SYS_madvise, "madvise(MADV_DONTNEED)", "heaps and stacks shrink",
          Is(2, MADV_DONTNEED)),
    Seldom(Allow(SYS_sched_getaffinity, "sched_getaffinity",
                 "how many heaps are worth it, where there are many")),
    // malloc(3) wants to know how many processors there are, where there are
    // many heaps, and free(3) how to shrink one: a refusal is an answer.
    Seldom({.number = SYS_openat,
            .name = "openat(to read): EACCES",
            .why = "malloc(3) asks for the number of processors; refused",
            .checks = {Is(2, O_RDONLY | O_CLOEXEC)},
            .refusal = EACCES}),
    // The end of it.
    Allow(SYS_rt_sigprocmask, "rt_sigprocmask",
          "no signal meets a thread that ends"),
    Allow(SYS_rt_sigtimedwait, "rt_sigtimedwait",
          "takes back a signal: a vCPU, what called it back; a log, SIGPIPE"),
    Allow(SYS_exit, "exit", "ends the thread"),
    Seldom(Allow(SYS_tgkill, "tgkill(this process, SIGABRT)",
                 "abort(): a failed check of ours is seen as one",
                 IsThisProcess(0), Is(2, SIGABRT))),
};

// Whoever starts, stops and resets devices: a vCPU by a register, a front-end
// by a message.
constexpr SyscallRule kDevices[] = {
    Ioctl(TUNSETOFFLOAD, "ioctl(TUNSETOFFLOAD)",
          "offloads that the driver acknowledged"),
    Ioctl(TUNSETQUEUE, "ioctl(TUNSETQUEUE)", "queues of a tap in use"),
};

// Whoever speaks with a back-end, or shares eventfds with another process.
constexpr SyscallRule kMessages[] = {
    Allow(SYS_sendmsg, "sendmsg", "messages and data"),
    Allow(SYS_recvmsg, "recvmsg", "likewise"),
    Allow(SYS_ppoll, "ppoll", "waits, for microseconds or for ever"),
    Allow(SYS_io_submit, "io_submit",
          "signals an eventfd that is shared, without waiting"),
    Allow(SYS_io_getevents, "io_getevents", "likewise"),
};

// A descriptor that the other side sent.
constexpr SyscallRule kDescriptors[] = {
    Allow(SYS_newfstatat, "newfstatat", "what a descriptor is"),
    Allow(SYS_fstatfs, "fstatfs", "its kind of pages"),
};

// Whoever may have to call a vCPU back.
constexpr SyscallRule kCallVcpuBack[] = {
    Allow(SYS_tgkill, "tgkill(this process, SIGURG)", "calls a vCPU back",
          IsThisProcess(0), Is(2, SIGURG)),
};

// Whoever touches memory that a front-end can take away: the handler of SIGBUS
// of `annulus device` puts other in its place.
constexpr SyscallRule kLostMemory[] = {
    Seldom(Allow(SYS_rt_sigreturn, "rt_sigreturn",
                 "memory that a front-end took away was replaced")),
};

constexpr SyscallRule kVcpu[] = {
    Ioctl(KVM_RUN, "ioctl(KVM_RUN)", "runs the guest"),
    Ioctl(KVM_KVMCLOCK_CTRL, "ioctl(KVM_KVMCLOCK_CTRL)",
          "tells the guest that it was paused"),
    Ioctl(KVM_GET_REGS, "ioctl(KVM_GET_REGS)", "where a guest failed"),
    Seldom(Ioctl(KVM_TRANSLATE, "ioctl(KVM_TRANSLATE)",
                 "what it failed at, if KVM does not say")),
    Ioctl(KVM_IOEVENTFD, "ioctl(KVM_IOEVENTFD)",
          "where the driver notifies queues"),
    Allow(SYS_epoll_ctl, "epoll_ctl", "sockets of a socket device"),
    Allow(SYS_shutdown, "shutdown", "likewise, of a guest that is gone"),
    Ioctl(KVM_SET_GSI_ROUTING, "ioctl(KVM_SET_GSI_ROUTING)",
          "where MSI-X vectors lead"),
};

constexpr SyscallRule kQueue[] = {
    Allow(SYS_ppoll, "ppoll", "waits, for microseconds or for ever"),
    Allow(SYS_sched_yield, "sched_yield", "a queue that polls"),
    Allow(SYS_io_submit, "io_submit",
          "signals an eventfd that is shared, without waiting"),
    Allow(SYS_io_getevents, "io_getevents", "likewise"),
    Allow(SYS_readv, "readv", "frames from a tap"),
    Allow(SYS_writev, "writev", "frames to a tap or a recording"),
    Allow(SYS_sendmsg, "sendmsg", "frames to passt"),
    Allow(SYS_recvfrom, "recvfrom", "frames from passt"),
    Seldom(Allow(SYS_shutdown, "shutdown", "passt sent what is no frame")),
    Allow(SYS_getrandom, "getrandom", "the entropy device"),
    Ioctl(TUNSETOFFLOAD, "ioctl(TUNSETOFFLOAD)",
          "offloads, by the card's control queue"),
    Ioctl(TUNSETQUEUE, "ioctl(TUNSETQUEUE)", "queue pairs, likewise"),
};

constexpr SyscallRule kSocketQueue[] = {
    Allow(SYS_epoll_wait, "epoll_wait", "programs that have something"),
    Allow(SYS_epoll_ctl, "epoll_ctl", "whom to listen to"),
    Allow(SYS_sched_yield, "sched_yield", "a queue that polls"),
    Allow(SYS_socket, "socket(AF_UNIX)", "the guest calls a program",
          Is(0, AF_UNIX)),
    Allow(SYS_connect, "connect", "likewise"),
    Allow(SYS_socketpair, "socketpair(AF_UNIX)",
          "likewise, one that is handed the other end", Is(0, AF_UNIX)),
    Allow(SYS_fcntl, "fcntl(F_SETFL)", "likewise", Is(1, F_SETFL)),
    Allow(SYS_accept4, "accept4", "a program calls the guest"),
    // The place of a guest in a switch of several processes.
    Allow(SYS_listen, "listen", "other processes' guests may call"),
    Allow(SYS_newfstatat, "newfstatat", "a socket's name and directory"),
    Allow(SYS_unlink, "unlink", "a socket that listened is made anew"),
    Allow(SYS_fchmod, "fchmod", "likewise, with the directory's mode"),
    Allow(SYS_bind, "bind", "likewise"),
    Allow(SYS_getsockopt, "getsockopt(SOL_SOCKET)", "room in a socket",
          Is(1, SOL_SOCKET)),
    Allow(SYS_setsockopt, "setsockopt(SOL_SOCKET)", "likewise",
          Is(1, SOL_SOCKET)),
    Allow(SYS_recvfrom, "recvfrom", "data"),
    Allow(SYS_shutdown, "shutdown", "one direction has ended"),
    Seldom(Allow(SYS_fcntl, "fcntl(F_DUPFD_CLOEXEC)",
                 "a descriptor in reserve, after there were none",
                 Is(1, F_DUPFD_CLOEXEC))),
};

constexpr SyscallRule kVhostUser[] = {
    Allow(SYS_accept4, "accept4", "the other side connects"),
    Allow(SYS_socket, "socket(AF_UNIX)", "connects, again if need be",
          Is(0, AF_UNIX)),
    Allow(SYS_connect, "connect", "likewise"),
    Allow(SYS_getsockname, "getsockname", "what socket it was given"),
    Allow(SYS_socketpair, "socketpair(AF_UNIX)",
          "where a back-end says that it changed", Is(0, AF_UNIX)),
    Allow(SYS_fcntl, "fcntl(F_GETFL)", "a descriptor that does not wait",
          Is(1, F_GETFL)),
    Allow(SYS_fcntl, "fcntl(F_SETFL)", "likewise", Is(1, F_SETFL)),
    Allow(SYS_readlink, "readlink", "whether a descriptor is an eventfd"),
    Allow(SYS_eventfd2, "eventfd2", "notifications of a connection"),
    Allow(SYS_dup3, "dup3", "an interrupt's eventfd takes another's place"),
    Allow(SYS_mmap, "mmap(shared, not executable)", "the front-end's memory",
          HasNot(2, PROT_EXEC), HasBits(3, MAP_SHARED)),
    Allow(SYS_madvise, "madvise(MADV_DONTDUMP)", "likewise: in no core dump",
          Is(2, MADV_DONTDUMP)),
    Allow(SYS_memfd_create, "memfd_create", "notes of what is in flight"),
    Allow(SYS_ftruncate, "ftruncate", "likewise"),
    Allow(SYS_fcntl, "fcntl(F_ADD_SEALS)", "likewise", Is(1, F_ADD_SEALS)),
    // Of front-ends that notify nobody, and guests that go unheard.
    Seldom(Allow(SYS_timerfd_create, "timerfd_create",
                 "a queue that nobody notifies")),
    Seldom(Allow(SYS_timerfd_settime, "timerfd_settime", "likewise")),
    Seldom(Allow(SYS_epoll_ctl, "epoll_ctl", "sockets of a socket device")),
    Seldom(Allow(SYS_shutdown, "shutdown", "likewise")),
};

constexpr SyscallRule kControl[] = {
    Allow(SYS_epoll_wait, "epoll_wait", "the control loop"),
    Allow(SYS_epoll_ctl, "epoll_ctl", "likewise"),
    Allow(SYS_pwritev2, "pwritev2", "to the console, without waiting"),
    Allow(SYS_recvfrom, "recvfrom", "news of a tap; control messages"),
    Ioctl(SIOCGIFNAME, "ioctl(SIOCGIFNAME)", "whether a tap is there"),
    Ioctl(SIOCGIFFLAGS, "ioctl(SIOCGIFFLAGS)", "whether it is up"),
    Allow(SYS_accept4, "accept4", "a client of the control socket"),
    Allow(SYS_getsockopt, "getsockopt(SOL_SOCKET)", "who it is",
          Is(1, SOL_SOCKET)),
    Allow(SYS_timerfd_settime, "timerfd_settime", "how long it may take"),
};

constexpr SyscallRule kConsole[] = {
    Seldom(Ioctl(TCSETS, "ioctl(TCSETS)", "a second signal: the terminal as")),
    Seldom(Allow(SYS_exit_group, "exit_group", "it was, and an end at once")),
};

constexpr SyscallRule kMain[] = {
    Ioctl(TCGETS, "ioctl(TCGETS)", "whether there is a terminal"),
    Ioctl(TCSETS, "ioctl(TCSETS)", "which is as it was"),
    Ioctl(KVM_IRQFD, "ioctl(KVM_IRQFD)", "interrupts are taken down"),
    Ioctl(KVM_IOEVENTFD, "ioctl(KVM_IOEVENTFD)", "notifications, too"),
    Allow(SYS_io_destroy, "io_destroy", "likewise, of shared eventfds"),
    Allow(SYS_epoll_ctl, "epoll_ctl", "nothing is waited for any more"),
    Seldom(Allow(SYS_shutdown, "shutdown", "connections of the guest end")),
    Allow(SYS_newfstatat, "newfstatat", "sockets that were made"),
    Allow(SYS_unlink, "unlink", "are removed"),
    Allow(SYS_exit_group, "exit_group", "the end"),
};

std::vector<absl::Span<const SyscallRule>> ListsOf(SandboxRole role) {
  switch (role) {
    case SandboxRole::kVcpu:
      return {kVcpu, kDevices, kMessages, kDescriptors, kCallVcpuBack};
    case SandboxRole::kQueue:
      return {kQueue, kLostMemory};
    case SandboxRole::kSocketQueue:
      return {kSocketQueue, kMessages, kLostMemory};
    case SandboxRole::kVhostUser:
      return {kVhostUser, kDevices, kMessages, kDescriptors, kLostMemory};
    case SandboxRole::kControl:
      return {kControl, kCallVcpuBack};
    case SandboxRole::kConsole:
      return {kConsole, kCallVcpuBack};
    case SandboxRole::kMain:
      return {kMain, kCallVcpuBack};
  }
  return {};
}

void Append(absl::Span<const SyscallRule> list,
            std::vector<const SyscallRule*>& rules) {
  for (const SyscallRule& rule : list) rules.push_back(&rule);
}

}  // namespace

std::vector<const SyscallRule*> CommonSyscalls() {
  std::vector<const SyscallRule*> rules;
  Append(kEverywhere, rules);
  return rules;
}

std::vector<const SyscallRule*> OwnSyscallsOf(SandboxRole role) {
  std::vector<const SyscallRule*> rules;
  for (const absl::Span<const SyscallRule> list : ListsOf(role)) {
    Append(list, rules);
  }
  return rules;
}

std::vector<const SyscallRule*> SyscallsOf(SandboxRole role) {
  std::vector<const SyscallRule*> rules = OwnSyscallsOf(role);
  Append(kEverywhere, rules);
  return rules;
}

}  // namespace annulus
