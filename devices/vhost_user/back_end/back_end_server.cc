#include "devices/vhost_user/back_end/back_end_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/queue_state_file.h"

namespace annulus::vhost_user {
namespace {

// Log lines that front-ends can cause by coming again and again.
constexpr uint32_t kLogBurst = 10;
constexpr absl::Duration kLogInterval = absl::Seconds(5);

// Between two looks at whether a front-end holds the thread up.
constexpr int kUnblockMilliseconds = 10;

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

absl::StatusOr<UniqueFd> Connect(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "creating a socket");
  // A void pointer: sockaddr is what the interface calls any address.
  const void* any = &address;
  if (::connect(fd.get(), static_cast<const sockaddr*>(any), sizeof(address)) !=
      0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("connecting to ", path));
  }
  return fd;
}

class Server final : public BackEndServer {
 public:
  Server(BackEndOptions options, BackEndEndpoint endpoint,
         std::unique_ptr<BackEndDevice> device,
         std::unique_ptr<QueueStateFile> state_file, LogSink& log, EventFd stop,
         EventFd finished)
      : options_(std::move(options)),
        endpoint_(std::move(endpoint)),
        device_(std::move(device)),
        state_file_(std::move(state_file)),
        log_(log),
        stop_(std::move(stop)),
        finished_(std::move(finished)),
        log_limiter_(kLogBurst, kLogInterval) {}

  ~Server() override { StopThread(); }

  absl::Status StartThread() {
    ANNULUS_ASSIGN_OR_RETURN(thread_,
                             Thread::Start(absl::StrCat(options_.name, "/vu"),
                                           [this] { ThreadMain(); }));
    return absl::OkStatus();
  }

  int finished_fd() const override { return finished_.fd(); }
  void Stop() override { StopThread(); }

 private:
  void StopThread() {
    if (!thread_.joinable()) return;
    stop_.Signal();
    // A worker, and with it the thread that stops it, may wait for a front-end
    // that plays with an eventfd.
    pollfd end = {.fd = finished_.fd(), .events = POLLIN, .revents = 0};
    while (::poll(&end, 1, kUnblockMilliseconds) <= 0) {
      MutexLock lock(mu_);
      if (session_ != nullptr) session_->Unblock();
    }
    thread_.Join();
  }

  void ThreadMain() {
    while (true) {
      absl::StatusOr<UniqueFd> connection = NextConnection();
      if (!connection.ok()) {
        if (!absl::IsCancelled(connection.status())) {
          Report(LogSeverity::kError, connection.status().message());
        }
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
                               std::move(connection), stop_));
    {
      MutexLock lock(mu_);
      session_ = session.get();
    }
    absl::Status ended = session->Run();
    session->End();
    MutexLock lock(mu_);
    session_ = nullptr;
    return ended;
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
      pollfd fds[] = {
          {.fd = stop_.fd(), .events = POLLIN, .revents = 0},
          {.fd = endpoint_.listener.get(), .events = POLLIN, .revents = 0}};
      if (::poll(fds, std::size(fds), -1) < 0 && errno != EINTR) {
        return absl::ErrnoToStatus(errno, "waiting for a front-end");
      }
      if (fds[0].revents != 0) return absl::CancelledError("stopped");
      UniqueFd fd(
          ::accept4(endpoint_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd.valid()) return fd;
      // Out of descriptors or memory, or it is gone: look again later.
      if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
        return absl::ErrnoToStatus(errno, "accepting a front-end");
      }
      if (Pause()) return absl::CancelledError("stopped");
    }
  }

  absl::StatusOr<UniqueFd> NextConnect() {
    while (true) {
      if (!first_attempt_ && Pause()) return absl::CancelledError("stopped");
      first_attempt_ = false;
      absl::StatusOr<UniqueFd> fd = Connect(endpoint_.connect_path);
      if (fd.ok()) return fd;
    }
  }

  // True if stopped meanwhile.
  bool Pause() {
    pollfd fd = {.fd = stop_.fd(), .events = POLLIN, .revents = 0};
    const int64_t ms = absl::ToInt64Milliseconds(options_.reconnect_delay);
    return ::poll(&fd, 1, static_cast<int>(std::clamp<int64_t>(ms, 1, 60000))) >
           0;
  }

  void Report(LogSeverity severity, absl::string_view what) {
    if (!log_limiter_.Allow(MonotonicNanoseconds())) return;
    log_.Log(severity, absl::StrCat(options_.name, ": ", what));
  }

  const BackEndOptions options_;
  BackEndEndpoint endpoint_;
  const std::unique_ptr<BackEndDevice> device_;
  const std::unique_ptr<QueueStateFile> state_file_;  // Or null.
  LogSink& log_;
  const EventFd stop_;
  const EventFd finished_;
  RateLimiter log_limiter_;
  bool first_attempt_ = true;

  Mutex mu_;
  BackEndSession* session_ ABSL_GUARDED_BY(mu_) = nullptr;

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
  if (endpoint.connect_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the path %s is too long for a socket",
                        options.name, endpoint.connect_path));
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
      std::move(state_file), log, std::move(stop), std::move(finished));
  ANNULUS_RETURN_IF_ERROR(server->StartThread());
  return server;
}

}  // namespace annulus::vhost_user
