#include "cli/jail/enter_jail.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "cli/exit_codes.h"
#include "cli/jail/jail_cgroup.h"
#include "cli/jail/jail_limits.h"
#include "cli/jail/jail_root.h"
#include "cli/jail/jail_step.h"
#include "cli/jail/jail_user.h"
#include "cli/passed_signal.h"
#include "cli/stop_signals.h"

namespace annulus::cli {
namespace {

constexpr int kNamespaces =
    CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

// What the two processes say to each other while the jail is made, a message
// each. The child's last one is empty, or what went wrong.
constexpr absl::string_view kGo = "go";
constexpr absl::string_view kWantsUser = "user";

// Of what not every user may.
absl::Status CheckUserStep(long result, const std::string& step) {
  const bool forbidden = result < 0 && (errno == EPERM || errno == ENOSPC);
  return CheckStep(
      result,
      absl::StrCat(step, forbidden
                             ? " (may be forbidden to users that are not root: "
                               "sysctl user.max_user_namespaces, "
                               "kernel.unprivileged_userns_clone)"
                             : ""));
}

bool Say(const UniqueFd& to, absl::string_view text) {
  return ::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

// Nothing: the other process is gone.
std::optional<std::string> Hear(const UniqueFd& from) {
  std::string text(1024, '\0');
  ssize_t bytes;
  do {
    bytes = ::recv(from.get(), text.data(), text.size(), 0);
  } while (bytes < 0 && errno == EINTR);
  if (bytes <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(bytes));
  return text;
}

// The signals of both processes, before and after the fork.
class JailSignals {
 public:
  JailSignals() {
    sigset_t all = StopSignalSet();
    sigaddset(&all, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &all, &before_);
    // Whoever started this may ignore it, and nobody would hear of the child.
    ::signal(SIGCHLD, SIG_DFL);
  }

  // As a process without a jail has them, but that none is lost: the first
  // process of a namespace ignores those that it neither blocks nor handles.
  void OfChild() const {
    sigset_t set = before_;
    AddStopSignals(set);
    ::sigprocmask(SIG_SETMASK, &set, nullptr);
  }

 private:
  sigset_t before_;
};

absl::Status JailChild(const JailOptions& options, const JailUser& user,
                       const UniqueFd& parent) {
  if (Hear(parent) != kGo) return absl::AbortedError("its parent is gone");
  // Behind the move into the group, which is the root of the namespace.
  ANNULUS_RETURN_IF_ERROR(CheckUserStep(
      ::unshare(kNamespaces | (user.mapped_by_parent ? CLONE_NEWUSER : 0) |
                (options.network ? 0 : CLONE_NEWNET)),
      "making namespaces (unshare)"));
  if (user.mapped_by_parent) {
    if (!Say(parent, kWantsUser) || Hear(parent) != kGo) {
      return absl::AbortedError("its parent is gone");
    }
  }
  ANNULUS_RETURN_IF_ERROR(BecomeUser(user));
  ANNULUS_RETURN_IF_ERROR(EnterEmptyRoot());
  ANNULUS_RETURN_IF_ERROR(SetLimits(options));
  ANNULUS_RETURN_IF_ERROR(DropCapabilities());
  // Not before: a change of the user takes it back.
  return CheckStep(::prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
}

// Up to the child's last message.
absl::Status JailParent(const JailCgroup& cgroup, const JailUser& user,
                        pid_t child, const UniqueFd& channel) {
  ANNULUS_RETURN_IF_ERROR(cgroup.Add(child));
  if (!Say(channel, kGo)) return absl::AbortedError("jail: it has ended");
  std::optional<std::string> text = Hear(channel);
  if (user.mapped_by_parent && text == kWantsUser) {
    ANNULUS_RETURN_IF_ERROR(MapUser(child, user));
    if (!Say(channel, kGo)) return absl::AbortedError("jail: it has ended");
    text = Hear(channel);
  }
  if (!text.has_value()) return absl::AbortedError("jail: it has ended");
  if (*text == kGo) return absl::OkStatus();
  return absl::InternalError(*text);
}

int ExitCodeOfChild(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status)
                           : kStoppedBySignal + WTERMSIG(status);
}

// Until the child has ended; its exit code.
int AwaitChild(pid_t child) {
  sigset_t set = StopSignalSet();
  sigaddset(&set, SIGCHLD);
  int first = 0;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) {
      return static_cast<int>(ExitCode::kHostError);
    }
    if (ended == child) {
      const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      return killed && first != 0 ? kStoppedBySignal + first
                                  : ExitCodeOfChild(status);
    }
    siginfo_t info = {};
    const int signal = ::sigwaitinfo(&set, &info);
    if (signal <= 0 || signal == SIGCHLD) continue;
    // A terminal's Ctrl-C goes to both, and twice is twice for both.
    if (signal == SIGINT && info.si_code == SI_KERNEL) continue;
    if (first == 0) {
      PassSignal(child, signal);
      first = signal;
    } else {
      ::kill(child, SIGKILL);
    }
  }
}

}  // namespace

absl::StatusOr<std::optional<int>> EnterJail(const JailOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(const JailUser user, ChooseJailUser(options));
  int ends[2];
  ANNULUS_RETURN_IF_ERROR(
      CheckStep(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends),
                "making a pair of sockets"));
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  // Before there is a user namespace, which would have no say over it.
  ANNULUS_ASSIGN_OR_RETURN(JailCgroup cgroup, JailCgroup::Create(options));
  const JailSignals signals;
  ANNULUS_RETURN_IF_ERROR(CheckUserStep(
      ::unshare(CLONE_NEWPID | (user.mapped_by_parent ? 0 : CLONE_NEWUSER)),
      "making a namespace of processes (unshare)"));
  if (!user.mapped_by_parent) {
    ANNULUS_RETURN_IF_ERROR(MapUser(::getpid(), user));
  }
  const pid_t child = ::fork();
  ANNULUS_RETURN_IF_ERROR(CheckStep(child, "starting its process (fork)"));
  if (child == 0) {
    cgroup.Release();
    ours.reset();
    signals.OfChild();
    const absl::Status status = JailChild(options, user, theirs);
    const bool said = Say(theirs, status.ok() ? kGo : status.message());
    if (!status.ok() || !said) ::_exit(static_cast<int>(ExitCode::kHostError));
    return std::nullopt;
  }
  theirs.reset();
  const absl::Status status = JailParent(cgroup, user, child, ours);
  if (!status.ok()) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return status;
  }
  return AwaitChild(child);
}

}  // namespace annulus::cli
