#include "devices/vhost_user/back_end/back_end_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/shared_event_signal.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/queue_state_file.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::vhost_user {
namespace {

// Log lines that front-ends can cause by coming again and again.
constexpr uint32_t kLogBurst = 10;
constexpr absl::Duration kLogInterval = absl::Seconds(5);

absl::Status CheckSocket(int fd, bool listens) {
  int type = 0;
  int accepts = 0;
  socklen_t size = sizeof(type);
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("looking at descriptor %d as a socket", fd));
  }
  if (type != SOCK_STREAM || (accepts != 0) != listens) {
    return absl::InvalidArgumentError(
        absl::StrFormat("descriptor %d is no %s stream socket", fd,
                        listens ? "listening" : "connected"));
  }
  return absl::OkStatus();
}

// Invalid where nobody listens.
UniqueFd Connect(const virtio::UnixAddress& address) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::connect(fd.get(), address.get(), address.size()) != 0) {
    return UniqueFd();
  }
  return fd;
}

// For a message.
std::string SocketName(int fd) {
  sockaddr_un address;
  socklen_t size = sizeof(address);
  absl::string_view name;
  if (::getsockname(fd, virtio::AsSocketAddress(address), &size) == 0) {
    name = virtio::UnixName(address, size);
  }
  if (name.empty()) return absl::StrCat("descriptor ", fd);
  if (name[0] != '\0') return virtio::QuotedPath(name);
  return virtio::QuotedPath(absl::StrCat("@", name.substr(1)));
}

class Server final : public BackEndServer {
 public:
  Server(BackEndOptions options, BackEndEndpoint endpoint,
         std::unique_ptr<BackEndDevice> device,
         std::unique_ptr<QueueStateFile> state_file,
         const virtio::UnixAddress& connect_address, LogSink& log,
         SharedEventSignal signal, EventFd stop, EventFd finished)
      : options_(std::move(options)),
        endpoint_(std::move(endpoint)),
        connect_address_(connect_address),
        device_(std::move(device)),
        state_file_(std::move(state_file)),
        log_(log),
        signal_(std::move(signal)),
        stop_(std::move(stop)),
        finished_(std::move(finished)),
        log_limiter_(kLogBurst, kLogInterval) {}

  ~Server() override { StopThread(); }

  absl::Status StartThread() {
    ANNULUS_ASSIGN_OR_RETURN(
        thread_, Thread::Start(
                     absl::StrCat(options_.name, "/vu"),
                     [this] { ThreadMain(); }, ThreadKind::kVhostUser));
    return absl::OkStatus();
  }

  int finished_fd() const override { return finished_.fd(); }
  absl::Status failure() const override {
    MutexLock lock(mu_);
    return failure_;
  }
  void Stop() override { StopThread(); }

 private:
  void StopThread() {
    if (!thread_.joinable()) return;
    stop_.Signal();
    thread_.Join();
  }

  void ThreadMain() {
    while (true) {
      absl::StatusOr<UniqueFd> connection = NextConnection();
      if (!connection.ok()) {
        if (!absl::IsCancelled(connection.status())) Fail(connection.status());
        break;
      }
      const absl::Status ended = Serve(*std::move(connection));
      if (absl::IsCancelled(ended)) break;
      if (absl::IsOutOfRange(ended)) {
        Report(LogSeverity::kInfo, "the front-end hung up");
      } else {
        Report(LogSeverity::kWarning,
               absl::StrCat("front-end given up: ", ended.message()));
      }
    }
    finished_.Signal();
  }

  absl::Status Serve(UniqueFd connection) {
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<BackEndSession> session,
        BackEndSession::Create(*device_, state_file_.get(),
                               std::move(connection), signal_, stop_));
    return session->Run();
  }

  // Cancelled where there is none any more.
  absl::StatusOr<UniqueFd> NextConnection() {
    if (!endpoint_.connect_path.empty()) return NextConnect();
    if (endpoint_.listener.valid()) return NextAccept();
    if (endpoint_.connection.valid()) return std::move(endpoint_.connection);
    return absl::CancelledError("the only connection has ended");
  }

  absl::StatusOr<UniqueFd> NextAccept() {
    while (true) {
      pollfd fds[] = {{.fd = stop_.fd(), .events = POLLIN, .revents = 0},
                      {.fd = endpoint_.listener.get(),
                       .events = POLLIN | POLLRDHUP,
                       .revents = 0}};
      if (::poll(fds, std::size(fds), -1) < 0) {
        if (errno == EINTR) continue;
        return NoFrontEnd(errno, "waiting for");
      }
      if (fds[0].revents != 0) return absl::CancelledError("stopped");
      UniqueFd fd(
          ::accept4(endpoint_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd.valid()) return fd;
      // Out of descriptors or memory, or it is gone: look again later.
      if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
        return NoFrontEnd(errno, "accepting");
      }
      // By who has the socket, too: nobody can connect any more.
      if ((fds[1].revents & (POLLHUP | POLLRDHUP)) != 0) {
        return NoFrontEnd(ESHUTDOWN, "accepting");
      }
      if (Pause()) return absl::CancelledError("stopped");
    }
  }

  absl::StatusOr<UniqueFd> NextConnect() {
    while (true) {
      if (!first_attempt_ && Pause()) return absl::CancelledError("stopped");
      first_attempt_ = false;
      UniqueFd fd = Connect(connect_address_);
      if (fd.valid()) return fd;
    }
  }

  absl::Status NoFrontEnd(int error, absl::string_view what) const {
    return absl::ErrnoToStatus(
        error, absl::StrCat(options_.name, ": ", what, " a front-end at ",
                            SocketName(endpoint_.listener.get())));
  }

  // True if stopped meanwhile.
  bool Pause() {
    pollfd fd = {.fd = stop_.fd(), .events = POLLIN, .revents = 0};
    const int64_t ms = absl::ToInt64Milliseconds(options_.reconnect_delay);
    return ::poll(&fd, 1, static_cast<int>(std::clamp<int64_t>(ms, 1, 60000))) >
           0;
  }

  // Said whatever front-ends caused to be said before.
  void Fail(const absl::Status& status) {
    log_.Log(LogSeverity::kError, status.message());
    MutexLock lock(mu_);
    failure_ = status;
  }

  void Report(LogSeverity severity, absl::string_view what) {
    if (!log_limiter_.Allow(MonotonicNanoseconds())) return;
    log_.Log(severity, absl::StrCat(options_.name, ": ", what));
  }

  const BackEndOptions options_;
  BackEndEndpoint endpoint_;
  const virtio::UnixAddress connect_address_;
  const std::unique_ptr<BackEndDevice> device_;
  const std::unique_ptr<QueueStateFile> state_file_;  // Or null.
  LogSink& log_;
  const SharedEventSignal signal_;
  const EventFd stop_;
  const EventFd finished_;
  RateLimiter log_limiter_;
  bool first_attempt_ = true;

  mutable Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);

  Thread thread_;  // Last: the thread uses all of the above.
};

}  // namespace

absl::StatusOr<std::unique_ptr<BackEndServer>> BackEndServer::Create(
    BackEndOptions options, BackEndEndpoint endpoint,
    std::unique_ptr<BackEndDevice> device, LogSink& log) {
  const int given = int{endpoint.listener.valid()} +
                    int{endpoint.connection.valid()} +
                    int{!endpoint.connect_path.empty()};
  if (given != 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %d endpoints, where exactly one is needed", options.name, given));
  }
  virtio::UnixAddress connect_address;
  if (!endpoint.connect_path.empty()) {
    ANNULUS_ASSIGN_OR_RETURN(
        connect_address, virtio::UnixAddress::Create(endpoint.connect_path));
  }
  if (endpoint.listener.valid()) {
    ANNULUS_RETURN_IF_ERROR(CheckSocket(endpoint.listener.get(), true));
    // Somebody may be gone between poll() and accept().
    const int flags = ::fcntl(endpoint.listener.get(), F_GETFL);
    (void)::fcntl(endpoint.listener.get(), F_SETFL, flags | O_NONBLOCK);
  }
  if (endpoint.connection.valid()) {
    ANNULUS_RETURN_IF_ERROR(CheckSocket(endpoint.connection.get(), false));
  }
  ANNULUS_ASSIGN_OR_RETURN(SharedEventSignal signal,
                           SharedEventSignal::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd finished, EventFd::Create());
  std::unique_ptr<QueueStateFile> state_file;
  if (options.state_file.valid()) {
    ANNULUS_ASSIGN_OR_RETURN(
        state_file, QueueStateFile::Open(options.state_file,
                                         device->device().max_queue_sizes()));
  }
  auto server = std::make_unique<Server>(
      std::move(options), std::move(endpoint), std::move(device),
      std::move(state_file), connect_address, log, std::move(signal),
      std::move(stop), std::move(finished));
  ANNULUS_RETURN_IF_ERROR(server->StartThread());
  return server;
}

}  // namespace annulus::vhost_user
