#include "tests/embed/guest_parts.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/kvm/guest_vm.h"

namespace annulus {
namespace {

sockaddr* Generic(void* address) { return static_cast<sockaddr*>(address); }

}  // namespace

VmConfig RngConfigOf(TransportKind transport, absl::string_view program) {
  VmConfig config = MicroguestConfig(program);
  RngConfig rng;
  rng.virtio.transport = transport;
  config.rng.push_back(rng);
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=packed");
  return config;
}

VmConfig NetConfigOf(TransportKind transport, NetConfig::Backend backend,
                     uint64_t rounds) {
  VmConfig config = MicroguestConfig("net_echo");
  NetConfig net;
  net.virtio.transport = transport;
  net.backend = backend;
  config.net.push_back(net);
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=packed rounds=", rounds);
  return config;
}

VmConfig VsockConfigOf(TransportKind transport, const UniqueFd& listener) {
  VmConfig config = MicroguestConfig("vsock");
  VsockConfig vsock;
  vsock.virtio.transport = transport;
  vsock.cid = 3;
  vsock.socket_fd = static_cast<uint32_t>(listener.get());
  // The caller is there before the guest is.
  vsock.connect_wait_milliseconds = 60'000;
  vsock.listen_wait_milliseconds = 60'000;
  config.vsock = vsock;
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=packed type=stream calls=0");
  return config;
}

UniqueFd ListenSomewhere() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  // Of the family alone: the kernel chooses an abstract name.
  ANNULUS_CHECK(
      ::bind(socket.get(), Generic(&address), sizeof(address.sun_family)) == 0);
  ANNULUS_CHECK(::listen(socket.get(), 16) == 0);
  return socket;
}

UniqueFd Call(const UniqueFd& listener) {
  sockaddr_un address = {};
  socklen_t bytes = sizeof(address);
  ANNULUS_CHECK(::getsockname(listener.get(), Generic(&address), &bytes) == 0);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ANNULUS_CHECK(::connect(socket.get(), Generic(&address), bytes) == 0);
  return socket;
}

std::pair<UniqueFd, UniqueFd> MakePipe() {
  int ends[2];
  ANNULUS_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string ReadAll(const UniqueFd& fd) {
  std::string all;
  char buffer[4096];
  ssize_t count;
  while ((count = ::read(fd.get(), buffer, sizeof(buffer))) > 0) {
    all.append(buffer, static_cast<size_t>(count));
  }
  return all;
}

bool ExchangeMessage(const UniqueFd& socket) {
  const auto send = [&](const std::string& text) {
    return ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  };
  if (!send("CONNECT 5678\n")) return false;
  std::string answer(64, 0);
  const ssize_t count = ::recv(socket.get(), answer.data(), answer.size(), 0);
  answer.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (answer.compare(0, 3, "OK ") != 0) return false;
  std::string message(300, 0);
  for (size_t i = 0; i < message.size(); ++i) {
    message[i] = static_cast<char>(i * 13);
  }
  if (!send(message) || ::shutdown(socket.get(), SHUT_WR) != 0) return false;
  return ReadAll(socket) == message;
}

}  // namespace annulus
