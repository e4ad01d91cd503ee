#include "cli/jail/jail_user.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace annulus::cli {
namespace {

constexpr uid_t kNobody = 65534;  // Of nearly all systems, and of the kernel.
constexpr uint32_t kAllUsers = 0xffffffff;

absl::Status Check(long result, absl::string_view step) {
  return result >= 0 ? absl::OkStatus()
                     : absl::ErrnoToStatus(errno, absl::StrCat("jail: ", step));
}

absl::Status WriteProc(pid_t pid, absl::string_view file,
                       const std::string& text) {
  const std::string path = absl::StrCat("/proc/", pid, "/", file);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), text.data(), text.size()) ==
                        static_cast<ssize_t>(text.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(
      errno, absl::StrCat("jail: writing \"", text, "\" to ", path));
}

}  // namespace

absl::StatusOr<JailUser> ChooseJailUser(const JailOptions& options) {
  if (::geteuid() == 0) {
    const uid_t user = options.user.value_or(kNobody);
    return JailUser{user, options.group.value_or(user), true};
  }
  const JailUser self = {::geteuid(), ::getegid(), false};
  if (options.user.value_or(self.user) != self.user ||
      options.group.value_or(self.group) != self.group) {
    return absl::PermissionDeniedError(absl::StrCat(
        "--user: ", options.user.value_or(self.user), ":",
        options.group.value_or(self.group), ": only root can be another one"));
  }
  return self;
}

absl::Status MapUser(pid_t pid, const JailUser& user) {
  // The kernel asks for it of who has no power over groups, user_namespaces(7).
  if (!user.mapped_by_parent) {
    ANNULUS_RETURN_IF_ERROR(WriteProc(pid, "setgroups", "deny"));
  }
  // Root makes all users known: one who is not is taken for nobody, whose the
  // process may be, and who is at the other end of a control socket counts.
  ANNULUS_RETURN_IF_ERROR(WriteProc(
      pid, "uid_map",
      user.mapped_by_parent ? absl::StrCat("0 0 ", kAllUsers)
                            : absl::StrCat(user.user, " ", user.user, " 1")));
  return WriteProc(pid, "gid_map",
                   absl::StrCat(user.group, " ", user.group, " 1"));
}

absl::Status BecomeUser(const JailUser& user) {
  if (!user.mapped_by_parent) return absl::OkStatus();
  // Who is root no more would have no capabilities, either.
  ANNULUS_RETURN_IF_ERROR(
      Check(::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP),
            "keeping capabilities (PR_SET_SECUREBITS)"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::setgroups(0, nullptr), "leaving all groups (setgroups)"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::setresgid(user.group, user.group, user.group),
            absl::StrCat("changing to group ", user.group)));
  return Check(::setresuid(user.user, user.user, user.user),
               absl::StrCat("changing to user ", user.user));
}

absl::Status DropCapabilities() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0;
       ++capability) {
    ANNULUS_RETURN_IF_ERROR(Check(::prctl(PR_CAPBSET_DROP, capability),
                                  "dropping capabilities for ever"));
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  ANNULUS_RETURN_IF_ERROR(Check(::syscall(SYS_capset, &header, none),
                                "dropping capabilities (capset)"));
  return Check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
}

}  // namespace annulus::cli
