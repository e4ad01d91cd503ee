#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_TEST_BACKEND_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_TEST_BACKEND_H_

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"

namespace annulus::virtio {

// The host's end without paths in a file system: programs of the host hold the
// other ends of socket pairs.
//
// Threads: any.
class TestBackend : public VsockBackend {
 public:
  TestBackend() : bell_(EventFd::Create().value()) {}

  // A program of the host calls a port of the guest; its end.
  UniqueFd Call(uint16_t type, uint32_t guest_port,
                const std::string& greeting = "") {
    auto [ours, theirs] = Pair(type);
    MutexLock lock(mu_);
    calls_.push_back({.socket = std::move(ours),
                      .type = type,
                      .guest_port = guest_port,
                      .greeting = greeting});
    bell_.Signal();
    return std::move(theirs);
  }

  // The end of the program of the host that the guest's latest call to `port`
  // reached; none if there was none.
  UniqueFd Accept(uint32_t port) {
    MutexLock lock(mu_);
    return std::exchange(accepted_[port], UniqueFd());
  }

  // How Connect() fails from now on; OK: it does not.
  void set_connect_status(absl::Status status) {
    MutexLock lock(mu_);
    connect_status_ = std::move(status);
  }

  int fd() const override { return bell_.fd(); }
  int64_t deadline_ns() const override {
    return std::numeric_limits<int64_t>::max();
  }
  std::optional<HostCall> NextCall(int64_t /*now_ns*/) override {
    MutexLock lock(mu_);
    if (calls_.empty()) {
      bell_.Drain();
      return std::nullopt;
    }
    HostCall call = std::move(calls_.front());
    calls_.pop_front();
    return call;
  }
  absl::StatusOr<Connection> Connect(uint16_t type, uint32_t port) override {
    MutexLock lock(mu_);
    if (!connect_status_.ok()) return connect_status_;
    auto [ours, theirs] = Pair(type);
    accepted_[port] = std::move(theirs);
    return Connection{.socket = std::move(ours), .connecting = false};
  }
  HostDatagrams* datagrams() override { return nullptr; }

 private:
  static std::pair<UniqueFd, UniqueFd> Pair(uint16_t type) {
    int ends[2];
    const int kind = type == kVsockTypeStream ? SOCK_STREAM : SOCK_SEQPACKET;
    ANNULUS_CHECK(::socketpair(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                               ends) == 0);
    // Room for whole messages, as a backend is to see to.
    const int room = 1 << 20;
    ANNULUS_CHECK(
        type == kVsockTypeStream ||
        ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room,
                     sizeof(room)) == 0 ||
        ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  const EventFd bell_;
  Mutex mu_;
  std::deque<HostCall> calls_ ABSL_GUARDED_BY(mu_);
  std::map<uint32_t, UniqueFd> accepted_ ABSL_GUARDED_BY(mu_);
  absl::Status connect_status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_TEST_BACKEND_H_
