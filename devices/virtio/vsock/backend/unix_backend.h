#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_BACKEND_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/rate_limiter.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/caller.h"
#include "devices/virtio/vsock/backend/unix_datagrams.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"

namespace annulus::virtio {

struct UnixBackendOptions {
  std::string name = "vsock0";  // In log lines.
  // The largest message of SEQPACKET, for which sockets get room.
  uint32_t buf_alloc = 256 * 1024;
  uint64_t guest_cid = 0;  // Said with connections that are handed over.
  // So many callers may not have said yet which port they want; further ones
  // wait in the backlog, and are refused by the host when that is full.
  uint32_t max_callers = 256;
  absl::Duration handshake_timeout = absl::Seconds(10);  // To say it.
};

// The host's programs as AF_UNIX sockets: see UnixSocketOptions.
//
//   host to guest: connect to PATH, write "CONNECT <port>\n", read a line: "OK
//     <host port>\n" when the guest has accepted, end of file when not. What
//     is written behind the line at once is not lost. With SOCK_SEQPACKET, at
//     PATH_seqpacket, each line is one message.
//   guest to host: listen at PATH_<port>, SOCK_STREAM or SOCK_SEQPACKET; or
//     take connections from a hand-over socket, see hand_over.h.
//
// Of AF_UNIX it has that MSG_EOR is lost, and that a message is to be smaller
// than SO_SNDBUF, which the host limits (net.core.wmem_max) for who has no
// CAP_NET_ADMIN.
class UnixBackend final : public VsockBackend {
 public:
  // `log` outlives it. InvalidArgument for options that make no sense; else
  // what the host refuses.
  static absl::StatusOr<std::unique_ptr<UnixBackend>> Create(
      const UnixBackendOptions& options, UnixSockets sockets, LogSink& log);

  UnixBackend(const UnixBackend&) = delete;
  UnixBackend& operator=(const UnixBackend&) = delete;
  ~UnixBackend() override = default;

  int fd() const override { return epoll_.get(); }
  int64_t deadline_ns() const override;
  std::optional<HostCall> NextCall(int64_t now_ns) override;
  absl::StatusOr<Connection> Connect(uint16_t type, uint32_t port) override;
  HostDatagrams* datagrams() override { return datagrams_.get(); }

  // Who have not said yet what they want. Of the host loop's thread.
  size_t callers() const { return callers_.size(); }

 private:
  UnixBackend(const UnixBackendOptions& options, UnixSockets sockets,
              UniqueFd epoll, LogSink& log);

  // `key` is an index of a listener, or a caller's. False, with errno: the
  // host refuses.
  bool Watch(int fd, uint32_t events, uint64_t key);
  void WatchListeners();
  std::optional<HostCall> Accept(size_t index);
  void AcceptFailed(size_t index, int error);
  std::optional<HostCall> Serve(uint64_t key);
  void Expire();
  // The host lacks something for `attempt`: nobody is accepted for a while.
  void Pause(absl::string_view attempt, const UnixListener& listener,
             int error);
  void Warn(absl::string_view text);

  const std::string name_;
  const uint32_t buf_alloc_;
  const uint64_t guest_cid_;
  const size_t max_callers_;
  const int64_t handshake_timeout_ns_;
  const UnixSockets sockets_;
  LogSink& log_;
  const UniqueFd epoll_;
  std::unique_ptr<UnixDatagrams> datagrams_;  // Null, or of sockets_.

  // Of the host loop's thread.
  enum class Listening : uint8_t { kNotWatched, kWatched, kBroken };
  std::vector<Listening> listening_;  // By index in sockets_.listeners().
  // By a number that grows, above those of the listeners: so the first has the
  // earliest deadline, and none is taken for one that is gone.
  std::map<uint64_t, Caller> callers_;
  uint64_t next_caller_;
  int64_t resume_ns_;   // No listener is watched before that; or kForever.
  int64_t now_ns_ = 0;  // Of the call under way.
  RateLimiter warnings_{10, absl::Minutes(1)};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_BACKEND_H_
