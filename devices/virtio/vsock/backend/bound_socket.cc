#include "devices/virtio/vsock/backend/bound_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::virtio {
namespace {

absl::StatusOr<UniqueFd> OpenSocket(int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "opening a unix socket");
  return fd;
}

absl::Status InUse(absl::string_view path) {
  return absl::AlreadyExistsError(
      absl::StrCat("a process has socket ", QuotedPath(path), " open"));
}

// Removes the socket at `path` if nobody has it open.
absl::Status RemoveStale(const std::string& path, const UnixAddress& address,
                         int type) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("looking at ", QuotedPath(path)));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(
        QuotedPath(path), " is there and is no socket, so it is left alone"));
  }
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd probe, OpenSocket(type));
  // Another type than ours, or a full backlog, are errors that need somebody
  // to have it open, too.
  const int error =
      ::connect(probe.get(), address.get(), address.size()) == 0 ? 0 : errno;
  if (error == ENOENT) return absl::OkStatus();
  if (error != ECONNREFUSED) return InUse(path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("removing the stale socket ", QuotedPath(path)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BoundSocket> BoundSocket::Bind(int type,
                                              absl::string_view path) {
  ANNULUS_ASSIGN_OR_RETURN(const UnixAddress address,
                           UnixAddress::Create(path));
  const std::string file(path);
  BoundSocket bound;
  ANNULUS_ASSIGN_OR_RETURN(bound.fd_, OpenSocket(type));
  int result = ::bind(bound.fd(), address.get(), address.size());
  if (result != 0 && errno == EADDRINUSE) {
    if (address.abstract()) return InUse(path);
    ANNULUS_RETURN_IF_ERROR(RemoveStale(file, address, type));
    result = ::bind(bound.fd(), address.get(), address.size());
  }
  if (result != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("binding a socket to ", QuotedPath(path)));
  }
  struct stat status;
  if (!address.abstract() && ::lstat(file.c_str(), &status) == 0) {
    bound.path_ = file;
    bound.device_ = status.st_dev;
    bound.inode_ = status.st_ino;
  }
  return bound;
}

absl::StatusOr<BoundSocket> BoundSocket::Listen(int type,
                                                absl::string_view path) {
  ANNULUS_ASSIGN_OR_RETURN(BoundSocket bound, Bind(type, path));
  if (::listen(bound.fd(), SOMAXCONN) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("listening at ", QuotedPath(path)));
  }
  return bound;
}

BoundSocket::BoundSocket(BoundSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::exchange(other.path_, "")),
      device_(other.device_),
      inode_(other.inode_) {}

BoundSocket& BoundSocket::operator=(BoundSocket&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  fd_ = std::move(other.fd_);
  path_ = std::exchange(other.path_, "");
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

void BoundSocket::Remove() {
  if (path_.empty()) return;
  struct stat status;
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    // Where this fails the next one to bind replaces it.
    [[maybe_unused]] const int result = ::unlink(path_.c_str());
  }
  path_.clear();
}

}  // namespace annulus::virtio
