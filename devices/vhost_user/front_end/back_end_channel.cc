#include "devices/vhost_user/front_end/back_end_channel.h"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace annulus::vhost_user {
namespace {

bool IsSignalled(const EventFd& event) {
  pollfd fd = {.fd = event.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&fd, 1, 0) > 0;
}

}  // namespace

BackEndChannel::BackEndChannel(UniqueFd socket, const EventFd& stop,
                               absl::Duration patience)
    : socket_(std::move(socket)),
      stop_(&stop),
      patience_ns_(absl::ToInt64Nanoseconds(patience)),
      left_ns_(patience_ns_),
      waited_ns_(MonotonicNanoseconds()) {}

void BackEndChannel::BeginWait() {
  const int64_t now = MonotonicNanoseconds();
  if (!leaving_) {
    left_ns_ = std::min(patience_ns_, left_ns_ + (now - waited_ns_));
    leaving_ = IsSignalled(*stop_);
    if (leaving_) {
      left_ns_ = std::min(left_ns_, absl::ToInt64Nanoseconds(kFarewell));
    }
  }
  deadline_ns_ = now + left_ns_;
}

absl::Duration BackEndChannel::TimeLeft() const {
  return absl::Nanoseconds(
      std::max<int64_t>(deadline_ns_ - MonotonicNanoseconds(), 0));
}

void BackEndChannel::EndWait() {
  waited_ns_ = MonotonicNanoseconds();
  left_ns_ = std::max<int64_t>(deadline_ns_ - waited_ns_, 0);
}

absl::StatusOr<uint64_t> BackEndChannel::Get(Request request) {
  Message message;
  message.request = static_cast<uint32_t>(request);
  ANNULUS_ASSIGN_OR_RETURN(const Message reply, Exchange(message));
  const std::optional<uint64_t> value = reply.Payload<uint64_t>();
  if (!value.has_value() || !reply.fds.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the answer to request %u is no number", message.request));
  }
  return *value;
}

absl::StatusOr<Message> BackEndChannel::Exchange(const Message& request) {
  BeginWait();
  ANNULUS_RETURN_IF_ERROR(socket_.Send(request, Stop(), TimeLeft()));
  ANNULUS_ASSIGN_OR_RETURN(Message reply, socket_.Receive(Stop(), TimeLeft()));
  EndWait();
  if (reply.request != request.request || (reply.flags & kFlagReply) == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request %u with flags %#x in answer to request %u",
                        reply.request, reply.flags, request.request));
  }
  return reply;
}

absl::Status BackEndChannel::Tell(Message request,
                                  const std::vector<int>& fds) {
  for (const int fd : fds) request.fds.emplace_back(fd);
  absl::Status status = SendOrExchange(request);
  for (UniqueFd& fd : request.fds) (void)fd.release();  // Not ours to close.
  return status;
}

absl::Status BackEndChannel::SendOrExchange(Message& request) {
  if (!acknowledged_) {
    BeginWait();
    absl::Status sent = socket_.Send(request, Stop(), TimeLeft());
    EndWait();
    return sent;
  }
  request.flags |= kFlagNeedReply;
  ANNULUS_ASSIGN_OR_RETURN(const Message reply, Exchange(request));
  if (reply.Payload<uint64_t>() != uint64_t{0} || !reply.fds.empty()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("request %u failed there", request.request));
  }
  return absl::OkStatus();
}

}  // namespace annulus::vhost_user
