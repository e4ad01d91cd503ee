#include "cli/jail/jail_user.h"

#include <grp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/jail/jail_step.h"
#include "vmm/sandbox/privileges.h"

namespace annulus::cli {
namespace {

constexpr uint32_t kAllUsers = 0xffffffff;

absl::Status WriteProc(pid_t pid, absl::string_view file,
                       const std::string& text) {
  absl::Status written =
      WriteKernelFile(absl::StrCat("/proc/", pid, "/", file), text);
  if (written.ok()) return written;
  return absl::Status(written.code(),
                      absl::StrCat("jail: ", written.message()));
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
      CheckStep(::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP),
                "keeping capabilities (PR_SET_SECUREBITS)"));
  ANNULUS_RETURN_IF_ERROR(
      CheckStep(::setgroups(0, nullptr), "leaving all groups (setgroups)"));
  ANNULUS_RETURN_IF_ERROR(
      CheckStep(::setresgid(user.group, user.group, user.group),
                absl::StrCat("changing to group ", user.group)));
  return CheckStep(::setresuid(user.user, user.user, user.user),
                   absl::StrCat("changing to user ", user.user));
}

absl::Status DropCapabilities() {
  absl::Status dropped = EmptyBoundingSet();
  dropped.Update(DropPrivileges());
  if (dropped.ok()) return dropped;
  return absl::Status(dropped.code(),
                      absl::StrCat("jail: ", dropped.message()));
}

}  // namespace annulus::cli
