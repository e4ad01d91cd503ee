#include "cli/jail/jail_root.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/status_macros.h"
#include "cli/jail/jail_step.h"

namespace annulus::cli {
namespace {

constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr char kMountPoint[] = "/proc";  // Any directory that is always there.

}  // namespace

absl::Status EnterEmptyRoot() {
  ANNULUS_RETURN_IF_ERROR(
      CheckStep(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
                "keeping mounts from others"));
  ANNULUS_RETURN_IF_ERROR(CheckStep(
      ::mount("none", kMountPoint, "tmpfs", kFlags, "mode=0555,size=4k"),
      "mounting a tmpfs on /proc"));
  ANNULUS_RETURN_IF_ERROR(
      CheckStep(::chdir(kMountPoint), "entering the tmpfs on /proc"));
  // On top of the old root, which is then taken away from below.
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    ANNULUS_RETURN_IF_ERROR(
        CheckStep(::umount2(".", MNT_DETACH), "unmounting the old root"));
  } else if (errno == EINVAL) {
    // An initramfs is a root that cannot be taken away, only covered.
    ANNULUS_RETURN_IF_ERROR(
        CheckStep(::mount(".", "/", nullptr, MS_MOVE, nullptr),
                  "moving the tmpfs over the root"));
    ANNULUS_RETURN_IF_ERROR(CheckStep(::chroot("."), "chroot to the tmpfs"));
  } else {
    return CheckStep(-1, "making the tmpfs the root (pivot_root)");
  }
  ANNULUS_RETURN_IF_ERROR(CheckStep(::chdir("/"), "entering the root"));
  return CheckStep(
      ::mount("none", "/", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr),
      "making the root read-only");
}

}  // namespace annulus::cli
