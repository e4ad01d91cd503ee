#include "devices/virtio/vsock/backend/unix_backend.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/vsock/backend/hand_over.h"
#include "devices/virtio/vsock/backend/socket_setup.h"
#include "devices/virtio/vsock/backend/socket_type.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::virtio {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
// How many callers, or pieces of what they say, are looked at before others
// have their turn.
constexpr int kMaxSteps = 64;
// How long nobody is accepted after the host had no descriptor to do it with.
constexpr int64_t kPauseNs = 100'000'000;
constexpr char kGreeting[] = "OK %\n";

int64_t After(int64_t now_ns, int64_t duration_ns) {
  return now_ns > kForever - duration_ns ? kForever : now_ns + duration_ns;
}

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS ||
         error == ENOMEM;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnixBackend>> UnixBackend::Create(
    const UnixBackendOptions& options, UnixSockets sockets, LogSink& log) {
  if (options.max_callers == 0) {
    return absl::InvalidArgumentError("max_callers is 0");
  }
  if (options.handshake_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("handshake_timeout is not above 0");
  }
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return absl::ErrnoToStatus(errno, "opening an epoll");
  std::unique_ptr<UnixBackend> backend(
      new UnixBackend(options, std::move(sockets), std::move(epoll), log));
  const UnixSockets& all = backend->sockets_;
  if (all.datagram_fd() >= 0) {
    ANNULUS_ASSIGN_OR_RETURN(
        backend->datagrams_,
        UnixDatagrams::Create(all.datagram_fd(), all.path()));
  }
  backend->WatchListeners();
  return backend;
}

UnixBackend::UnixBackend(const UnixBackendOptions& options, UnixSockets sockets,
                         UniqueFd epoll, LogSink& log)
    : name_(options.name),
      buf_alloc_(options.buf_alloc),
      guest_cid_(options.guest_cid),
      max_callers_(options.max_callers),
      handshake_timeout_ns_(
          absl::ToInt64Nanoseconds(options.handshake_timeout)),
      sockets_(std::move(sockets)),
      log_(log),
      epoll_(std::move(epoll)),
      listening_(sockets_.listeners().size(), Listening::kNotWatched),
      next_caller_(sockets_.listeners().size()),
      resume_ns_(kForever) {}

int64_t UnixBackend::deadline_ns() const {
  if (callers_.empty()) return resume_ns_;
  return std::min(resume_ns_, callers_.begin()->second.deadline_ns());
}

std::optional<HostCall> UnixBackend::NextCall(int64_t now_ns) {
  now_ns_ = now_ns;
  if (resume_ns_ <= now_ns) resume_ns_ = kForever;
  Expire();
  for (int step = 0; step < kMaxSteps; ++step) {
    WatchListeners();
    epoll_event event;
    if (::epoll_wait(epoll_.get(), &event, 1, 0) <= 0) return std::nullopt;
    const uint64_t key = event.data.u64;
    std::optional<HostCall> call =
        key < listening_.size() ? Accept(key) : Serve(key);
    if (call.has_value()) {
      WatchListeners();
      return call;
    }
  }
  WatchListeners();
  return std::nullopt;
}

bool UnixBackend::Watch(int fd, uint32_t events, uint64_t key) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = key;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

// While there is no room for a caller nobody asks the listeners, which would
// stay readable all the time.
void UnixBackend::WatchListeners() {
  const bool room = callers_.size() < max_callers_;
  for (size_t i = 0; i < listening_.size(); ++i) {
    if (listening_[i] == Listening::kBroken) continue;
    const UnixListener& listener = sockets_.listeners()[i];
    const bool wanted =
        resume_ns_ == kForever && (room || listener.guest_port.has_value());
    if (wanted == (listening_[i] == Listening::kWatched)) continue;
    if (!wanted) {
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.fd(), nullptr);
      listening_[i] = Listening::kNotWatched;
    } else if (Watch(listener.fd(), EPOLLIN, i)) {
      listening_[i] = Listening::kWatched;
    } else {
      Pause("watching", listener, errno);
    }
  }
}

std::optional<HostCall> UnixBackend::Accept(size_t index) {
  const UnixListener& listener = sockets_.listeners()[index];
  UniqueFd socket(
      ::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) {
    AcceptFailed(index, errno);
    return std::nullopt;
  }
  PrepareSocket(socket.get(), listener.type, buf_alloc_);
  if (listener.guest_port.has_value()) {
    return HostCall{std::move(socket), listener.type, *listener.guest_port, ""};
  }
  const uint64_t key = next_caller_++;
  const int fd = socket.get();
  callers_.try_emplace(key, std::move(socket), listener.type,
                       After(now_ns_, handshake_timeout_ns_));
  // Most have said it by now.
  std::optional<HostCall> call = Serve(key);
  // Edge-triggered: a caller is looked at when something comes from it, and not
  // for what its socket holds otherwise.
  if (callers_.contains(key) && !Watch(fd, EPOLLIN | EPOLLET, key)) {
    Pause("watching a caller of", listener, errno);
    callers_.erase(key);
  }
  return call;
}

void UnixBackend::AcceptFailed(size_t index, int error) {
  const UnixListener& listener = sockets_.listeners()[index];
  if (error == EINTR || error == ECONNABORTED) return;
  if (error == EAGAIN) {
    // Somebody else was faster; or it is readable for ever.
    pollfd poll = {.fd = listener.fd(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&poll, 1, 0) != 1) return;
    error = EINVAL;
  }
  if (IsShortage(error)) return Pause("accepting at", listener, error);
  // Somebody who has it too has shut it down.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.fd(), nullptr);
  listening_[index] = Listening::kBroken;
  Warn(absl::StrCat("accepting at ", listener.name, ": ", std::strerror(error),
                    "; nobody can call there any more"));
}

std::optional<HostCall> UnixBackend::Serve(uint64_t key) {
  const auto place = callers_.find(key);
  if (place == callers_.end()) return std::nullopt;
  Caller& caller = place->second;
  std::optional<HostCall> call;
  switch (caller.Advance()) {
    case Caller::Progress::kWaits:
      return std::nullopt;
    case Caller::Progress::kSaid:
      // Whoever has the socket next watches it by an epoll of their own. (It
      // is not watched here if this is the first look at it.)
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, caller.fd(), nullptr);
      call = HostCall{caller.TakeSocket(), caller.type(), caller.port(),
                      kGreeting};
      break;
    case Caller::Progress::kWrong:
      Warn("a caller did not say \"CONNECT <port>\"");
      break;
    case Caller::Progress::kGone:
      break;
  }
  callers_.erase(place);
  return call;
}

absl::StatusOr<VsockBackend::Connection> UnixBackend::Connect(uint16_t type,
                                                              uint32_t port) {
  Connection connection;
  if (!HasConnections(type)) {
    return absl::NotFoundError(absl::StrCat("type ", type, " is unknown"));
  }
  const int hand_over = sockets_.HandOverSocket(type, port);
  if (hand_over >= 0) {
    const HandOverMessage message = {
        .guest_cid = guest_cid_, .port = port, .type = type};
    ANNULUS_ASSIGN_OR_RETURN(connection.socket,
                             HandOver(hand_over, message, buf_alloc_));
    return connection;
  }
  const std::optional<std::string> path = sockets_.HostPath(type, port);
  if (!path.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("nobody of the host serves port ", port));
  }
  ANNULUS_ASSIGN_OR_RETURN(const UnixAddress address,
                           UnixAddress::Create(*path));
  connection.socket.reset(
      ::socket(AF_UNIX, SocketType(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!connection.socket.valid()) {
    return absl::ErrnoToStatus(errno, "opening a unix socket");
  }
  PrepareSocket(connection.socket.get(), type, buf_alloc_);
  // It is connected at once or not at all: where the backlog is full that is
  // EAGAIN, and not for this thread to wait for.
  if (::connect(connection.socket.get(), address.get(), address.size()) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("connecting to ", QuotedPath(*path)));
  }
  return connection;
}

void UnixBackend::Expire() {
  while (!callers_.empty() &&
         callers_.begin()->second.deadline_ns() <= now_ns_) {
    callers_.erase(callers_.begin());
    Warn("a caller did not say in time which port it wants");
  }
}

void UnixBackend::Pause(absl::string_view attempt, const UnixListener& listener,
                        int error) {
  resume_ns_ = After(now_ns_, kPauseNs);
  Warn(absl::StrCat(attempt, " ", listener.name, ": ", std::strerror(error),
                    "; callers have to wait"));
}

void UnixBackend::Warn(absl::string_view text) {
  if (!warnings_.Allow(now_ns_)) return;
  log_.Log(LogSeverity::kWarning, absl::StrCat(name_, ": ", text));
}

}  // namespace annulus::virtio
