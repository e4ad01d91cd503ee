#include "tests/sandbox/lock_up.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

constexpr uid_t kNobody = 65534;

absl::Status Check(long result, absl::string_view step) {
  return result >= 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, step);
}

absl::Status EnterNamespaces() {
  return Check(::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                         CLONE_NEWUTS | CLONE_NEWCGROUP),
               "entering namespaces of its own");
}

absl::Status EmptyRoot() {
  constexpr char kRoot[] = "/tmp";  // Any directory: it is mounted over.
  ANNULUS_RETURN_IF_ERROR(
      Check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
            "making mounts private"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::mount("none", kRoot, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                    "mode=0555,size=4k"),
            "mounting an empty root"));
  ANNULUS_RETURN_IF_ERROR(Check(::chdir(kRoot), "entering the root"));
  // Stacked onto the old root, which is then taken away from below.
  ANNULUS_RETURN_IF_ERROR(
      Check(::syscall(SYS_pivot_root, ".", "."), "pivot_root"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::umount2(".", MNT_DETACH), "leaving the old root"));
  return Check(
      ::mount("none", "/", nullptr,
              MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              nullptr),
      "making the root read-only");
}

absl::Status DropPrivileges() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0;
       ++capability) {
    ANNULUS_RETURN_IF_ERROR(Check(::prctl(PR_CAPBSET_DROP, capability),
                                  "dropping a capability for ever"));
  }
  ANNULUS_RETURN_IF_ERROR(Check(::setgroups(0, nullptr), "leaving groups"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::setresgid(kNobody, kNobody, kNobody), "changing the group"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::setresuid(kNobody, kNobody, kNobody), "changing the user"));
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  ANNULUS_RETURN_IF_ERROR(
      Check(::syscall(SYS_capset, &header, none), "dropping capabilities"));
  return Check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

// All that the kernel's version of Landlock knows, and no rule that allows any.
// By numbers, since headers are older than kernels.
absl::Status DenyFiles() {
  constexpr unsigned int kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion);
  ANNULUS_RETURN_IF_ERROR(Check(abi, "asking for Landlock's version"));
  int files = 13;  // So many rights on files.
  if (abi >= 2) ++files;
  if (abi >= 3) ++files;
  if (abi >= 5) ++files;
  const struct {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
  } denied = {.fs = (uint64_t{1} << files) - 1,
              .net = abi >= 4 ? uint64_t{3} : 0,
              .scoped = abi >= 6 ? uint64_t{3} : 0};
  const long rules =
      ::syscall(SYS_landlock_create_ruleset, &denied, sizeof(denied), 0);
  ANNULUS_RETURN_IF_ERROR(Check(rules, "making a Landlock ruleset"));
  ANNULUS_RETURN_IF_ERROR(Check(::syscall(SYS_landlock_restrict_self, rules, 0),
                                "entering the Landlock ruleset"));
  return Check(::close(static_cast<int>(rules)), "closing the ruleset");
}

}  // namespace

absl::Status LockUp() {
  ANNULUS_RETURN_IF_ERROR(EnterNamespaces());
  ANNULUS_RETURN_IF_ERROR(EmptyRoot());
  ANNULUS_RETURN_IF_ERROR(DropPrivileges());
  return DenyFiles();
}

}  // namespace annulus
