#include "devices/vhost_user/back_end/event_descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace annulus::vhost_user {

absl::StatusOr<UniqueFd> AsEventDescriptor(UniqueFd fd) {
  struct stat about = {};
  if (::fstat(fd.get(), &about) != 0) {
    return absl::ErrnoToStatus(errno, "looking at the front-end's eventfd");
  }
  // What lives on the inode of all that has none of its own has no type.
  if ((about.st_mode & S_IFMT) != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a descriptor of mode %#o is no eventfd", about.st_mode));
  }
  // That is so of epoll instances, timers and many more, which never become
  // quiet or hold up whoever reads. Without /proc there is no telling.
  std::array<char, 64> text;
  const ssize_t length =
      ::readlink(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), text.data(),
                 text.size());
  if (length > 0) {
    const absl::string_view kind(text.data(), static_cast<size_t>(length));
    if (kind != "anon_inode:[eventfd]") {
      return absl::InvalidArgumentError(
          absl::StrCat("a descriptor of ", kind, " is no eventfd"));
    }
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno,
                               "making the front-end's eventfd non-blocking");
  }
  return fd;
}

}  // namespace annulus::vhost_user
