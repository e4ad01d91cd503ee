#include "vmm/control_resources.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/config/validate_control_config.h"

namespace annulus {
namespace {

absl::Status At(absl::string_view field, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("control.", field, ": ", status.message()));
}

absl::StatusOr<UniqueFd> Duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, "duplicating it");
  return copy;
}

absl::Status Listen(const ControlConfig& config, virtio::BoundSocket& file) {
  ANNULUS_ASSIGN_OR_RETURN(
      file, virtio::BoundSocket::Bind(SOCK_STREAM, config.socket));
  // Nobody can connect before it listens. An abstract name has no file.
  if (config.socket.front() != '@' &&
      ::fchmodat(AT_FDCWD, config.socket.c_str(), *ParseFileMode(config.mode),
                 AT_SYMLINK_NOFOLLOW) != 0) {
    return absl::ErrnoToStatus(errno, "setting its permissions");
  }
  if (::listen(file.fd(), SOMAXCONN) != 0) {
    return absl::ErrnoToStatus(errno, "listening");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status OpenControl(const ControlConfig& config, UniqueFd& listener,
                         virtio::BoundSocket& file) {
  if (config.fd != 0) {
    const int fd = static_cast<int>(config.fd);
    absl::StatusOr<UniqueFd> copy = Duplicate(fd);
    if (!copy.ok()) {
      return At("fd", absl::Status(copy.status().code(),
                                   absl::StrCat("descriptor ", fd, ": ",
                                                copy.status().message())));
    }
    listener = *std::move(copy);
    return absl::OkStatus();
  }
  if (config.socket.empty()) return absl::OkStatus();
  const absl::Status listens = Listen(config, file);
  if (!listens.ok()) return At("socket", listens);
  absl::StatusOr<UniqueFd> copy = Duplicate(file.fd());
  if (!copy.ok()) return At("socket", copy.status());
  listener = *std::move(copy);
  return absl::OkStatus();
}

}  // namespace annulus
