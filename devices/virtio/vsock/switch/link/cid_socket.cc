#include "devices/virtio/vsock/switch/link/cid_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

// Packets of 64 KiB, and many of them. Less where the host does not allow it.
constexpr int kSendBufferBytes = 4 * 1024 * 1024;

constexpr int kBacklog = 128;

// Of attempts to lock a file that others remove meanwhile.
constexpr int kMostAttempts = 100;

std::string PathOf(const std::string& directory, uint64_t cid) {
  return absl::StrCat(directory, "/", cid);
}

// REQUIRES: the path fits, as CheckSwitchDirectory() said.
class Address {
 public:
  explicit Address(const std::string& path) {
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, path.data(), path.size());
  }

  const sockaddr* get() const {
    const void* const address = &address_;
    return static_cast<const sockaddr*>(address);
  }
  socklen_t size() const { return sizeof(address_); }

 private:
  sockaddr_un address_ = {};
};

absl::StatusOr<UniqueFd> Lock(const std::string& path) {
  for (int i = 0; i < kMostAttempts; ++i) {
    UniqueFd file(
        ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) {
      return absl::ErrnoToStatus(errno, absl::StrCat("opening ", path));
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) {
        return absl::ErrnoToStatus(errno, absl::StrCat("locking ", path));
      }
      return absl::AlreadyExistsError(
          absl::StrCat(path, " is locked: another device has this CID"));
    }
    // Who had it removes it before it lets go: then it is no longer the file
    // that others will lock.
    struct stat locked = {};
    struct stat named = {};
    if (::fstat(file.get(), &locked) == 0 &&
        ::lstat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
        locked.st_dev == named.st_dev) {
      return file;
    }
  }
  return absl::AbortedError(absl::StrCat(path, " is removed all the time"));
}

}  // namespace

absl::Status CheckSwitchDirectory(const std::string& directory) {
  if (PathOf(directory, kVsockLastGuestCid).size() >=
      sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "switch directory ", directory, ": ", directory.size(),
        " bytes are too many for a name to which a socket's is added"));
  }
  struct stat found = {};
  if (::stat(directory.c_str(), &found) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("switch directory ", directory));
  }
  if (!S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("switch directory ", directory, " is no directory"));
  }
  return absl::OkStatus();
}

CidSocket::CidSocket(std::string path, UniqueFd lock)
    : path_(std::move(path)), lock_(std::move(lock)) {}

CidSocket::CidSocket(CidSocket&& other) noexcept
    : path_(std::exchange(other.path_, "")),
      lock_(std::move(other.lock_)),
      socket_(std::move(other.socket_)),
      listening_(other.listening_) {}

CidSocket::~CidSocket() {
  if (path_.empty()) return;
  if (socket_.valid()) ::unlink(path_.c_str());
  ::unlink(absl::StrCat(path_, ".lock").c_str());
}

absl::StatusOr<CidSocket> CidSocket::Create(const std::string& directory,
                                            uint64_t cid) {
  ANNULUS_RETURN_IF_ERROR(CheckSwitchDirectory(directory));
  std::string path = PathOf(directory, cid);
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd lock, Lock(absl::StrCat(path, ".lock")));
  CidSocket socket(std::move(path), std::move(lock));
  ANNULUS_RETURN_IF_ERROR(socket.Bind());
  return socket;
}

absl::Status CidSocket::Bind() {
  struct stat found = {};
  if (::lstat(path_.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) {
      return absl::AlreadyExistsError(absl::StrCat(path_, " is no socket"));
    }
    ::unlink(path_.c_str());  // We hold the lock, so it is stale.
  }
  const std::string directory = path_.substr(0, path_.rfind('/') + 1);
  if (::stat(directory.c_str(), &found) != 0) {
    return absl::ErrnoToStatus(errno, directory);
  }
  UniqueFd socket(
      ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const Address address(path_);
  // The mode is that of the socket itself; the process's umask applies too, but
  // is not ours to change.
  if (!socket.valid() || ::fchmod(socket.get(), found.st_mode & 0666) != 0 ||
      ::bind(socket.get(), address.get(), address.size()) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("making the socket ", path_));
  }
  socket_ = std::move(socket);
  return absl::OkStatus();
}

absl::Status CidSocket::Listen() {
  if (!socket_.valid()) ANNULUS_RETURN_IF_ERROR(Bind());
  if (::listen(socket_.get(), kBacklog) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("listening at ", path_));
  }
  listening_ = true;
  return absl::OkStatus();
}

absl::Status CidSocket::StopListening() {
  if (!listening_) return absl::OkStatus();
  // There is no way back for a socket that listens, so it is made anew. One
  // that is bound, and does not listen, refuses who connects.
  listening_ = false;
  socket_.reset();
  return Bind();
}

UniqueFd ConnectToCid(const std::string& directory, uint64_t cid) {
  UniqueFd socket(
      ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  const Address address(PathOf(directory, cid));
  // EAGAIN: its backlog is full.
  if (::connect(socket.get(), address.get(), address.size()) != 0) {
    return UniqueFd();
  }
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferBytes,
                   sizeof(kSendBufferBytes)) != 0) {
    // Without the privilege, as much as net.core.wmem_max allows.
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes,
                 sizeof(kSendBufferBytes));
  }
  return socket;
}

}  // namespace annulus::virtio
