// FrontEndDevice: its thread.

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "devices/vhost_user/front_end/front_end_device.h"

namespace annulus::vhost_user {
namespace {

// Takes the count of an eventfd that the back-end has, too, and may have made
// one that blocks: this never does. True if there was one.
bool TakeShared(int fd) {
  uint64_t count = 0;
  iovec into = {&count, sizeof(count)};
  return ::preadv2(fd, &into, 1, -1, RWF_NOWAIT) == sizeof(count);
}

}  // namespace

void FrontEndDevice::Run() {
  enum : size_t { kStop, kWake, kError, kConnection, kRequests, kCalls };
  std::vector<pollfd> fds(kCalls + call_fds_.size());
  fds[kStop] = {stop_.fd(), POLLIN, 0};
  fds[kWake] = {wake_.fd(), POLLIN, 0};
  fds[kError] = {error_.fd(), POLLIN, 0};
  for (size_t i = 0; i < call_fds_.size(); ++i) {
    fds[kCalls + i] = {call_fds_[i], POLLIN, 0};
  }
  for (;;) {
    bool connected = false;
    {
      MutexLock lock(mu_);
      connected = connection_ != nullptr;
      fds[kConnection] = {connected ? connection_->channel.fd() : -1, POLLRDHUP,
                          0};
      fds[kRequests] = {connected && connection_->requests.has_value()
                            ? connection_->requests->fd()
                            : -1,
                        POLLIN, 0};
    }
    const bool dials = !connected && !options_.path.empty();
    const int wait = dials ? static_cast<int>(absl::ToInt64Milliseconds(
                                 options_.reconnect_delay))
                           : -1;
    const int ready = ::poll(fds.data(), fds.size(), wait);
    if (ready < 0 && errno != EINTR) return;
    if (ready < 0) continue;
    if (fds[kStop].revents != 0) return;
    for (size_t i = 0; i < call_fds_.size(); ++i) {
      if (fds[kCalls + i].revents != 0 && TakeShared(call_fds_[i])) {
        Relay(static_cast<uint16_t>(i));
      }
    }
    if (fds[kWake].revents != 0) wake_.Drain();
    if (fds[kError].revents != 0 && TakeShared(error_.fd())) NeedsReset();
    if (fds[kRequests].revents != 0) ServeBackEndRequest();
    bool gone = fds[kConnection].revents != 0;
    {
      MutexLock lock(mu_);
      gone = gone || (connection_ != nullptr && connection_->failed);
    }
    if (gone) Disconnect();
    if (dials && ready == 0) Reconnect();
  }
}

void FrontEndDevice::Relay(uint16_t index) {
  MutexLock lock(relay_mu_);
  if (interrupts_[index] != nullptr) interrupts_[index]->Trigger();
}

void FrontEndDevice::NeedsReset() {
  MutexLock lock(relay_mu_);
  if (host_ != nullptr) host_->NeedsReset();
}

void FrontEndDevice::Disconnect() {
  bool cannot_go_on = options_.path.empty();
  {
    MutexLock lock(mu_);
    connection_.reset();
    const bool runs = std::any_of(
        queues_.begin(), queues_.end(),
        [](const Queue& queue) { return queue.running.has_value(); });
    cannot_go_on =
        runs && (cannot_go_on || (Packed() && !inflight_.has_value()));
    LogLine(LogSeverity::kWarning, "its back-end has gone");
  }
  if (cannot_go_on) NeedsReset();
}

void FrontEndDevice::Reconnect() {
  absl::StatusOr<UniqueFd> socket = Dial();
  if (!socket.ok()) return;  // Said when it went.
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connect(*std::move(socket));
  if (!connection.ok()) {
    LogLine(LogSeverity::kWarning,
            absl::StrCat("no back-end: ", connection.status().message()));
    return;
  }
  const BackEndOffer offer = (*connection)->offer;
  {
    MutexLock lock(mu_);
    absl::Status status = CheckOffer(offer);
    if (!status.ok()) {
      LogLine(
          LogSeverity::kWarning,
          absl::StrCat("this back-end cannot take over: ", status.message()));
      return;
    }
    connection_ = *std::move(connection);
    connection_->channel.SetTime(options_.patience);
    status = Restore();
    if (!status.ok()) {
      Use(status);
      return;
    }
    LogLine(LogSeverity::kInfo, "its back-end is there again");
  }
  // What was used before the call descriptor was there.
  for (size_t i = 0; i < call_fds_.size(); ++i) Relay(static_cast<uint16_t>(i));
  TakeConfig(offer);
}

void FrontEndDevice::TakeConfig(const BackEndOffer& offer) {
  absl::StatusOr<FrontEndCard> card = type_->Card(offer);
  if (!card.ok() || !UpdateConfig(std::move(card->config))) return;
  MutexLock lock(relay_mu_);
  if (host_ != nullptr) host_->ConfigChanged();
}

void FrontEndDevice::ServeBackEndRequest() {
  BackEndOffer offer;
  {
    MutexLock lock(mu_);
    if (!Usable()) return;
    const absl::StatusOr<Message> request =
        connection_->requests->Receive(stop_, options_.patience);
    if (!request.ok()) {
      Use(request.status());
      return;
    }
    const bool known = request->request == static_cast<uint32_t>(
                                               BackEndRequest::kConfigChange) &&
                       request->size == 0 && request->fds.empty();
    if (known) {
      absl::StatusOr<std::vector<uint8_t>> config =
          GetConfig(connection_->channel, type_->config_bytes());
      Use(config.status());
      offer = connection_->offer;
      offer.config = config.ok() ? *std::move(config) : std::vector<uint8_t>();
    }
    if (request->need_reply()) {
      const Message reply =
          MakeMessage(request->request, kFlagReply, uint64_t{known ? 0u : 1u});
      Use(connection_->requests->Send(reply, stop_, options_.patience));
    }
  }
  if (!offer.config.empty()) TakeConfig(offer);
}

}  // namespace annulus::vhost_user
