#include "cli/jail/jail_root.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace annulus::cli {
namespace {

constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr char kMountPoint[] = "/proc";  // Any directory that is always there.

absl::Status Check(long result, absl::string_view step) {
  return result >= 0 ? absl::OkStatus()
                     : absl::ErrnoToStatus(errno, absl::StrCat("jail: ", step));
}

}  // namespace

absl::Status EnterEmptyRoot() {
  ANNULUS_RETURN_IF_ERROR(
      Check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
            "keeping mounts from others"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::mount("none", kMountPoint, "tmpfs", kFlags, "mode=0555,size=4k"),
            "mounting a tmpfs on /proc"));
  ANNULUS_RETURN_IF_ERROR(
      Check(::chdir(kMountPoint), "entering the tmpfs on /proc"));
  // On top of the old root, which is then taken away from below.
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    ANNULUS_RETURN_IF_ERROR(
        Check(::umount2(".", MNT_DETACH), "unmounting the old root"));
  } else if (errno == EINVAL) {
    // An initramfs is a root that cannot be taken away, only covered.
    ANNULUS_RETURN_IF_ERROR(Check(::mount(".", "/", nullptr, MS_MOVE, nullptr),
                                  "moving the tmpfs over the root"));
    ANNULUS_RETURN_IF_ERROR(Check(::chroot("."), "chroot to the tmpfs"));
  } else {
    return Check(-1, "making the tmpfs the root (pivot_root)");
  }
  ANNULUS_RETURN_IF_ERROR(Check(::chdir("/"), "entering the root"));
  return Check(
      ::mount("none", "/", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr),
      "making the root read-only");
}

}  // namespace annulus::cli
