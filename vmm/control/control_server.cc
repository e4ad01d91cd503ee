#include "vmm/control/control_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/socket_option.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);
constexpr int kAcceptsAtOnce = 8;
constexpr int kSendsAtOnce = 8;
constexpr size_t kReceiveBytes = 4096;

absl::StatusOr<UniqueFd> MakeTimer() {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) {
    return absl::ErrnoToStatus(errno, "control: creating a timer");
  }
  return timer;
}

void SetTimer(int timer, absl::Duration delay) {
  itimerspec when = {};
  when.it_value = absl::ToTimespec(std::max(delay, absl::Nanoseconds(1)));
  // Fails for no valid timer and time.
  [[maybe_unused]] const int result =
      ::timerfd_settime(timer, 0, &when, nullptr);
}

void DrainTimer(int timer) {
  uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t got =
      ::read(timer, &expirations, sizeof(expirations));
}

absl::Status CheckListener(int socket) {
  if (SocketOption(socket, SO_DOMAIN) != AF_UNIX ||
      SocketOption(socket, SO_TYPE) != SOCK_STREAM ||
      SocketOption(socket, SO_ACCEPTCONN) != 1) {
    return absl::InvalidArgumentError(
        "control: is no unix stream socket that listens");
  }
  const int flags = ::fcntl(socket, F_GETFL);
  if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "control: making it non-blocking");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Create(
    UniqueFd listener, std::vector<uint32_t> allowed_uids,
    ControlTarget& target, EventLoop& loop) {
  ANNULUS_RETURN_IF_ERROR(CheckListener(listener.get()));
  ANNULUS_ASSIGN_OR_RETURN(EventFd events_ready, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd retry_timer, MakeTimer());
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd stop_timer, MakeTimer());
  // Asked here: the loop's thread may ask for as little as possible.
  allowed_uids.push_back(::geteuid());
  std::unique_ptr<ControlServer> server(new ControlServer(
      std::move(listener), std::move(allowed_uids), target, loop,
      std::move(events_ready), std::move(retry_timer), std::move(stop_timer)));
  ANNULUS_RETURN_IF_ERROR(server->Watch());
  return server;
}

ControlServer::ControlServer(UniqueFd listener,
                             std::vector<uint32_t> allowed_uids,
                             ControlTarget& target, EventLoop& loop,
                             EventFd events_ready, UniqueFd retry_timer,
                             UniqueFd stop_timer)
    : listener_(std::move(listener)),
      allowed_uids_(std::move(allowed_uids)),
      target_(target),
      loop_(loop),
      events_(std::move(events_ready)),
      retry_timer_(std::move(retry_timer)),
      stop_timer_(std::move(stop_timer)) {}

ControlServer::~ControlServer() {
  while (!clients_.empty()) Close(clients_.begin()->first);
  for (const int fd : {listener_.get(), events_.ready_fd(), retry_timer_.get(),
                       stop_timer_.get()}) {
    loop_.Unwatch(fd);
  }
}

absl::Status ControlServer::Watch() {
  ANNULUS_RETURN_IF_ERROR(
      loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); }));
  ANNULUS_RETURN_IF_ERROR(loop_.Watch(events_.ready_fd(), EPOLLIN,
                                      [this](uint32_t) { DeliverEvents(); }));
  ANNULUS_RETURN_IF_ERROR(
      loop_.Watch(retry_timer_.get(), EPOLLIN, [this](uint32_t) {
        DrainTimer(retry_timer_.get());
        loop_.Rewatch(listener_.get(), EPOLLIN);
      }));
  return loop_.Watch(stop_timer_.get(), EPOLLIN, [this](uint32_t) {
    DrainTimer(stop_timer_.get());
    target_.StopByControl();
  });
}

void ControlServer::StopAfter(absl::Duration delay) {
  const int64_t due = MonotonicNanoseconds() + absl::ToInt64Nanoseconds(delay);
  if (stop_ns_ != 0 && stop_ns_ <= due) return;
  stop_ns_ = due;
  SetTimer(stop_timer_.get(), delay);
}

void ControlServer::Accept() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      AddClient(std::move(socket));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno == EAGAIN) return;
    // Out of descriptors, most likely. Who waits stays in the backlog.
    loop_.Rewatch(listener_.get(), 0);
    SetTimer(retry_timer_.get(), kRetry);
    return;
  }
}

// Whether whoever is at the other end may give orders.
absl::Status ControlServer::Admit(int socket) const {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return absl::PermissionDeniedError("nobody knows who you are");
  }
  if (peer.uid != 0 && std::find(allowed_uids_.begin(), allowed_uids_.end(),
                                 peer.uid) == allowed_uids_.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat("user ", peer.uid, " may not control this machine"));
  }
  const bool own = peer.uid == 0 || peer.uid == allowed_uids_.back();
  const size_t most = own ? kMaxClients : kMaxClients - kReservedClients;
  if (clients_.size() >= most) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", clients_.size(), " clients already"));
  }
  return absl::OkStatus();
}

void ControlServer::AddClient(UniqueFd socket) {
  const int fd = socket.get();
  auto client = std::make_unique<Client>(Client{
      .socket = std::move(socket), .session = ControlSession(target_, *this)});
  const absl::Status admitted = Admit(fd);
  if (!admitted.ok()) {
    client->session.Refuse(admitted);
    Send(*client);
    return;
  }
  client->watched = EPOLLIN;
  const absl::Status watched =
      loop_.Watch(fd, client->watched,
                  [this, fd](uint32_t events) { ServeClient(fd, events); });
  if (watched.ok()) clients_[fd] = std::move(client);
}

void ControlServer::ServeClient(int socket, uint32_t events) {
  const auto found = clients_.find(socket);
  if (found == clients_.end()) return;
  Client& client = *found->second;
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (((events & EPOLLIN) != 0 || gone) && client.session.WantsInput() &&
      !client.ended) {
    Receive(client);
  }
  const bool usable = Send(client);
  // What was sent before the other side went is served all the same.
  const bool over = gone && (client.ended || !client.session.WantsInput());
  Settle(client, usable && !over);
}

void ControlServer::Receive(Client& client) {
  std::array<char, kReceiveBytes> bytes;
  // Descriptors that come along are not taken.
  const ssize_t got =
      ::recv(client.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got > 0) {
    client.session.Receive({bytes.data(), static_cast<size_t>(got)});
    UpdateListened();  // Before the reply says so.
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    client.ended = true;
  }
}

bool ControlServer::Send(Client& client) {
  for (int i = 0; i < kSendsAtOnce; ++i) {
    const absl::string_view output = client.session.output();
    if (output.empty()) return true;
    const ssize_t sent = ::send(client.socket.get(), output.data(),
                                output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    client.session.Sent(static_cast<size_t>(sent));
    if (client.session.failed()) continue;
    client.session.Serve();
    UpdateListened();
  }
  return true;
}

void ControlServer::UpdateListened() {
  events_.SetListened(std::any_of(
      clients_.begin(), clients_.end(),
      [](const auto& entry) { return entry.second->session.subscribed(); }));
}

void ControlServer::Settle(Client& client, bool usable) {
  const ControlSession& session = client.session;
  const bool done =
      session.failed() ||
      (client.ended && !session.subscribed() && session.output().empty());
  if (!usable || done) {
    Close(client.socket.get());
    return;
  }
  uint32_t wanted = 0;
  if (!client.ended && session.WantsInput()) wanted |= EPOLLIN;
  if (!session.output().empty()) wanted |= EPOLLOUT;
  if (wanted == client.watched) return;
  client.watched = wanted;
  loop_.Rewatch(client.socket.get(), wanted);
}

void ControlServer::Close(int socket) {
  loop_.Unwatch(socket);
  clients_.erase(socket);
  UpdateListened();
}

void ControlServer::DeliverEvents() {
  const std::vector<ControlEvents::Event> events = events_.Take();
  std::vector<int> sockets;
  for (const auto& [socket, client] : clients_) sockets.push_back(socket);
  for (const int socket : sockets) {
    Client& client = *clients_.at(socket);
    for (const ControlEvents::Event& event : events) {
      client.session.OnEvent(event.event, event.lost);
    }
    Settle(client, Send(client));
  }
}

void ControlServer::Finish(absl::Duration patience) {
  DeliverEvents();
  const int64_t end =
      MonotonicNanoseconds() + absl::ToInt64Nanoseconds(patience);
  for (int64_t now = MonotonicNanoseconds(); now < end;
       now = MonotonicNanoseconds()) {
    std::vector<pollfd> waiting;
    for (const auto& [socket, client] : clients_) {
      if (client->session.output().empty()) continue;
      waiting.push_back({.fd = socket, .events = POLLOUT, .revents = 0});
    }
    if (waiting.empty()) break;
    const int milliseconds = static_cast<int>((end - now) / 1'000'000) + 1;
    if (::poll(waiting.data(), waiting.size(), milliseconds) <= 0) continue;
    for (const pollfd& ready : waiting) {
      if (ready.revents == 0) continue;
      if (!Send(*clients_.at(ready.fd))) Close(ready.fd);
    }
  }
  while (!clients_.empty()) Close(clients_.begin()->first);
}

}  // namespace annulus
