// To be preloaded (LD_PRELOAD) into a program of the host that uses AF_VSOCK:
// its sockets become AF_UNIX ones, at the host's end of Annulus's device. So
// that the kernel's own tests can be one end of it as they are.
//
//   VSOCK_SHIM_PATH  the device's socket
//   VSOCK_SHIM_CID   the guest's CID, which accept(2) says
//
// bind(2) to a port: PATH_PORT. connect(2): PATH, or PATH_seqpacket, and
// CONNECT; who is refused gets ECONNRESET, as from the kernel. What AF_UNIX
// lacks stays missing: MSG_EOR, SO_RCVLOWAT in poll(2), options of AF_VSOCK.

#include <dlfcn.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// The function of the C library that one of those below stands before.
template <typename Function>
Function* Next(Function* /*same*/, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

const char* Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) {
    std::fprintf(stderr, "vsock_shim: %s is not set\n", name);
    std::_Exit(EXIT_FAILURE);
  }
  return value;
}

// False: no address of AF_VSOCK.
bool PortOf(const sockaddr* address, socklen_t size, unsigned int& port) {
  sockaddr_vm vm = {};
  if (size < sizeof(vm) || address->sa_family != AF_VSOCK) return false;
  std::memcpy(&vm, address, sizeof(vm));
  port = vm.svm_port;
  return true;
}

bool IsSeqpacket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  return type == SOCK_SEQPACKET;
}

sockaddr_un UnixAddress(const char* suffix) {
  sockaddr_un result = {};
  result.sun_family = AF_UNIX;
  const int size =
      std::snprintf(result.sun_path, sizeof(result.sun_path), "%s%s",
                    Environment("VSOCK_SHIM_PATH"), suffix);
  if (size >= static_cast<int>(sizeof(result.sun_path))) {
    std::fputs("vsock_shim: VSOCK_SHIM_PATH is too long\n", stderr);
    std::_Exit(EXIT_FAILURE);
  }
  return result;
}

// 0, or -1 with errno.
int Handshake(int fd, unsigned int port) {
  char line[32];
  const int size = std::snprintf(line, sizeof(line), "CONNECT %u\n", port);
  if (::send(fd, line, static_cast<size_t>(size), MSG_NOSIGNAL) != size) {
    return -1;
  }
  const bool seqpacket = IsSeqpacket(fd);
  size_t got = 0;
  do {
    // No byte more than the line, which a message is.
    const ssize_t more =
        ::recv(fd, line + got, seqpacket ? sizeof(line) : 1, 0);
    if (more <= 0) {
      if (more == 0) errno = ECONNRESET;
      return -1;
    }
    got += static_cast<size_t>(more);
  } while (line[got - 1] != '\n' && got < sizeof(line));
  if (std::memcmp(line, "OK ", 3) == 0) return 0;
  errno = EPROTO;
  return -1;
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  return Next(&::socket, "socket")(domain == AF_VSOCK ? AF_UNIX : domain, type,
                                   protocol);
}

int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  const auto next = Next(&::bind, "bind");
  unsigned int port = 0;
  if (!PortOf(address, size, port)) return next(fd, address, size);
  char suffix[16];
  std::snprintf(suffix, sizeof(suffix), "_%u", port);
  const sockaddr_un path = UnixAddress(suffix);
  ::unlink(path.sun_path);
  return next(fd, reinterpret_cast<const sockaddr*>(&path), sizeof(path));
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  const auto next = Next(&::connect, "connect");
  unsigned int port = 0;
  if (!PortOf(address, size, port)) return next(fd, address, size);
  const sockaddr_un path = UnixAddress(IsSeqpacket(fd) ? "_seqpacket" : "");
  const int result =
      next(fd, reinterpret_cast<const sockaddr*>(&path), sizeof(path));
  return result == 0 ? Handshake(fd, port) : result;
}

int accept(int fd, sockaddr* address, socklen_t* size) {
  const auto next = Next(&::accept, "accept");
  sockaddr_storage own = {};
  socklen_t own_size = sizeof(own);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
      own.ss_family != AF_UNIX) {
    return next(fd, address, size);
  }
  const int accepted = next(fd, nullptr, nullptr);
  if (accepted < 0 || address == nullptr) return accepted;
  sockaddr_vm guest = {};
  guest.svm_family = AF_VSOCK;
  guest.svm_cid = static_cast<unsigned int>(
      std::strtoul(Environment("VSOCK_SHIM_CID"), nullptr, 10));
  guest.svm_port = VMADDR_PORT_ANY;
  std::memcpy(address, &guest, *size < sizeof(guest) ? *size : sizeof(guest));
  *size = sizeof(guest);
  return accepted;
}

}  // extern "C"
