#include "vmm/sandbox/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace annulus {

absl::Status EmptyBoundingSet() {
  // Those that the kernel has and these headers may not know, too.
  for (unsigned long capability = 0;
       ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    return absl::ErrnoToStatus(
        errno, absl::StrCat("dropping capability ", capability));
  }
  return absl::OkStatus();
}

absl::Status DropPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "setting no_new_privs");
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "clearing ambient capabilities");
  }
  absl::Status emptied = EmptyBoundingSet();
  if (!emptied.ok() && !absl::IsPermissionDenied(emptied)) return emptied;
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) {
    return absl::ErrnoToStatus(errno, "dropping capabilities");
  }
  return absl::OkStatus();
}

}  // namespace annulus
