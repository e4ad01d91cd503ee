// FrontEndDevice: its thread.

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
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
  int64_t attempt_ns = 0;  // When to look for a back-end; 0: there is one.
  for (;;) {
    bool connected = false;
    {
      MutexLock lock(mu_);
      connected = connection_ != nullptr;
      fds[kConnection] = {connected ? connection_->channel.fd() : -1, POLLRDHUP,
                          0};
    }
    fds[kRequests] = {requests_.has_value() ? requests_->fd() : -1, POLLIN, 0};
    int wait = -1;
    if (!connected && CanReconnect()) {
      const int64_t now = MonotonicNanoseconds();
      if (attempt_ns == 0) {
        attempt_ns = now + absl::ToInt64Nanoseconds(options_.reconnect_delay);
      }
      wait = static_cast<int>(std::clamp<int64_t>(
          (attempt_ns - now + 999'999) / 1'000'000, 0, 60'000));
    }
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
    // Of one that has gone, its end is nothing to complain of.
    if (fds[kRequests].revents != 0 && fds[kConnection].revents == 0) {
      ServeBackEndRequest();
    }
    bool gone = fds[kConnection].revents != 0;
    {
      MutexLock lock(mu_);
      gone = gone || (connection_ != nullptr && connection_->failed);
    }
    if (gone) Disconnect();
    // By the clock: whoever has an old call descriptor can ring it for ever.
    if (attempt_ns != 0 && MonotonicNanoseconds() >= attempt_ns) {
      Reconnect();
      attempt_ns = 0;
    }
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
  requests_.reset();
  bool cannot_go_on = !CanReconnect();
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
  absl::StatusOr<UniqueFd> socket = NextSocket();
  if (!socket.ok()) return;  // Said when it went.
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connect(*std::move(socket));
  if (!connection.ok()) {
    LogLine(LogSeverity::kWarning,
            absl::StrCat("no back-end: ", connection.status().message()));
    requests_.reset();
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
      requests_.reset();
      return;
    }
    connection_ = *std::move(connection);
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

// Whoever starts or stops a queue does not wait for the rest of a request that
// is cut off.
void FrontEndDevice::ServeBackEndRequest() {
  const auto fail = [this](const absl::Status& status) {
    MutexLock lock(mu_);
    if (Usable()) Use(status);
  };
  const absl::StatusOr<Message> request =
      requests_->Receive(stop_, options_.patience);
  if (!request.ok()) return fail(request.status());
  const bool known = request->request ==
                         static_cast<uint32_t>(BackEndRequest::kConfigChange) &&
                     request->size == 0 && request->fds.empty();
  BackEndOffer offer;
  if (known) {
    MutexLock lock(mu_);
    if (!Usable()) return;
    absl::StatusOr<std::vector<uint8_t>> config =
        GetConfig(connection_->channel, type_->config_bytes());
    Use(config.status());
    offer = connection_->offer;
    offer.config = config.ok() ? *std::move(config) : std::vector<uint8_t>();
  }
  if (request->need_reply()) {
    const Message reply =
        MakeMessage(request->request, kFlagReply, uint64_t{known ? 0u : 1u});
    const absl::Status sent = requests_->Send(reply, stop_, options_.patience);
    if (!sent.ok()) fail(sent);
  }
  if (!offer.config.empty()) TakeConfig(offer);
}

}  // namespace annulus::vhost_user
