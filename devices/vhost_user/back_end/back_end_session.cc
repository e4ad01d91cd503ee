#include "devices/vhost_user/back_end/back_end_session.h"

#include <poll.h>

#include <cerrno>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/status.h"
#include "memory/guarded_mapping.h"

namespace annulus::vhost_user {
namespace {

// For a message that has begun to come, and for a front-end to take a reply.
constexpr absl::Duration kPatience = absl::Seconds(10);

static_assert(BackEndSession::kMaxMappings <= memory::GuardedMapping::kShare);

}  // namespace

absl::Span<const BackEndSession::RequestTraits>
BackEndSession::KnownRequests() {
  using S = BackEndSession;
  using R = Request;
  using F = ProtocolFeature;
  static constexpr RequestTraits kRequests[] = {
      {.request = R::kGetFeatures, .handler = &S::GetFeatures, .answers = true},
      {.request = R::kSetFeatures, .handler = &S::SetFeatures},
      {.request = R::kSetOwner, .handler = &S::SetOwner},
      {.request = R::kResetOwner, .handler = &S::ResetOwner},
      {.request = R::kSetMemTable,
       .handler = &S::SetMemTable,
       .max_fds = kMaxTableRegions},
      {.request = R::kSetLogBase,
       .handler = &S::SetLogBase,
       .needs = Bit(F::kLogShmfd),
       .max_fds = 1,
       .answers = true},
      {.request = R::kSetLogFd, .handler = &S::SetLogFd, .max_fds = 1},
      {.request = R::kSetVringNum, .handler = &S::SetVringNum},
      {.request = R::kSetVringAddr, .handler = &S::SetVringAddr},
      {.request = R::kSetVringBase, .handler = &S::SetVringBase},
      {.request = R::kGetVringBase,
       .handler = &S::GetVringBase,
       .answers = true},
      {.request = R::kSetVringKick, .handler = &S::SetVringKick, .max_fds = 1},
      {.request = R::kSetVringCall, .handler = &S::SetVringCall, .max_fds = 1},
      {.request = R::kSetVringErr, .handler = &S::SetVringErr, .max_fds = 1},
      {.request = R::kGetProtocolFeatures,
       .handler = &S::GetProtocolFeatures,
       .answers = true},
      {.request = R::kSetProtocolFeatures, .handler = &S::SetProtocolFeatures},
      {.request = R::kGetQueueNum,
       .handler = &S::GetQueueNum,
       .needs = Bit(F::kMq),
       .answers = true},
      {.request = R::kSetVringEnable, .handler = &S::SetVringEnable},
      {.request = R::kSendRarp,
       .handler = &S::SendRarp,
       .needs = Bit(F::kRarp)},
      {.request = R::kNetSetMtu,
       .handler = &S::NetSetMtu,
       .needs = Bit(F::kNetMtu)},
      {.request = R::kSetBackendReqFd,
       .handler = &S::SetBackendReqFd,
       .needs = Bit(F::kBackendReq),
       .max_fds = 1},
      {.request = R::kGetConfig,
       .handler = &S::GetConfig,
       .needs = Bit(F::kConfig),
       .answers = true},
      {.request = R::kSetConfig,
       .handler = &S::SetConfig,
       .needs = Bit(F::kConfig)},
      {.request = R::kGetInflightFd,
       .handler = &S::GetInflightFd,
       .needs = Bit(F::kInflightShmfd),
       .answers = true},
      {.request = R::kSetInflightFd,
       .handler = &S::SetInflightFd,
       .needs = Bit(F::kInflightShmfd),
       .max_fds = 1},
      {.request = R::kResetDevice,
       .handler = &S::ResetDevice,
       .needs = Bit(F::kResetDevice)},
      {.request = R::kGetMaxMemSlots,
       .handler = &S::GetMaxMemSlots,
       .needs = Bit(F::kConfigureMemSlots),
       .answers = true},
      {.request = R::kAddMemReg,
       .handler = &S::AddMemReg,
       .needs = Bit(F::kConfigureMemSlots),
       .max_fds = 1},
      // It says by its numbers what goes; QEMU sends the descriptor as well.
      {.request = R::kRemMemReg,
       .handler = &S::RemMemReg,
       .needs = Bit(F::kConfigureMemSlots),
       .max_fds = 1},
      {.request = R::kSetStatus,
       .handler = &S::SetStatus,
       .needs = Bit(F::kStatus)},
      {.request = R::kGetStatus,
       .handler = &S::GetStatus,
       .needs = Bit(F::kStatus),
       .answers = true},
  };
  return kRequests;
}

absl::StatusOr<std::unique_ptr<BackEndSession>> BackEndSession::Create(
    BackEndDevice& device, QueueStateFile* state_file, UniqueFd connection,
    const SharedEventSignal& signal, const EventFd& stop) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  std::unique_ptr<BackEndSession> session(new BackEndSession(
      device, state_file, std::move(connection), stop, std::move(wake)));
  const absl::Span<const uint16_t> sizes = device.device().max_queue_sizes();
  for (size_t i = 0; i < sizes.size(); ++i) {
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<Vring> vring,
        Vring::Create(static_cast<uint16_t>(i), sizes[i], *session, signal));
    session->vrings_.push_back(std::move(vring));
  }
  return session;
}

BackEndSession::BackEndSession(BackEndDevice& device,
                               QueueStateFile* state_file, UniqueFd connection,
                               const EventFd& stop, EventFd wake)
    : back_end_device_(device),
      device_(device.device()),
      stop_(stop),
      wake_(std::move(wake)),
      state_file_(state_file),
      socket_(std::move(connection)),
      known_generation_(device_.config_generation()) {}

// Takes the queues and resets the device.
void BackEndSession::End() {
  PauseVrings();
  device_.Reset();
  back_end_device_.ForgetFrontEnd();
}

absl::Status BackEndSession::Run() {
  while (true) {
    ANNULUS_RETURN_IF_ERROR(AwaitMessage());
    ANNULUS_ASSIGN_OR_RETURN(Message message,
                             socket_.Receive(stop_, kPatience));
    ANNULUS_RETURN_IF_ERROR(Dispatch(message));
  }
}

// Until there is something to receive; does meanwhile what workers ask for.
absl::Status BackEndSession::AwaitMessage() {
  while (true) {
    pollfd fds[] = {{.fd = stop_.fd(), .events = POLLIN, .revents = 0},
                    {.fd = wake_.fd(), .events = POLLIN, .revents = 0},
                    {.fd = socket_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(fds, std::size(fds), -1) < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, "waiting for a front-end's message");
    }
    if (fds[0].revents != 0) {
      return absl::CancelledError("the back-end is stopped");
    }
    if (fds[1].revents != 0) {
      (void)wake_.Drain();
      if (LostMemory()) {
        return absl::DataLossError("memory of the front-end was cut off");
      }
      // Relaxed: what changed is read from the device when it is asked for.
      if (config_changed_.exchange(false, std::memory_order_relaxed)) {
        SendConfigChange();
      }
    }
    if (fds[2].revents != 0) return absl::OkStatus();
  }
}

bool BackEndSession::LostMemory() const {
  return memory_.lost() || (log_memory_ != nullptr && log_memory_->lost()) ||
         (inflight_.has_value() && inflight_->lost());
}

absl::Status BackEndSession::Dispatch(Message& message) {
  const RequestTraits* traits = nullptr;
  for (const RequestTraits& known : KnownRequests()) {
    if (static_cast<uint32_t>(known.request) == message.request) {
      traits = &known;
    }
  }
  absl::Status status;
  if (traits == nullptr) {
    status = absl::UnimplementedError("there is no such request");
  } else if ((protocol_features_ & traits->needs) != traits->needs) {
    status = absl::FailedPreconditionError(
        "its protocol feature was not negotiated");
  } else if (message.fds.size() > traits->max_fds) {
    status = absl::InvalidArgumentError(
        absl::StrFormat("%u descriptors, at most %u belong to it",
                        message.fds.size(), traits->max_fds));
  } else {
    status = (this->*traits->handler)(message);
  }
  if (!status.ok()) {
    status = absl::Status(
        status.code(),
        absl::StrFormat("request %u: %s", message.request, status.message()));
  }
  const bool answers = traits != nullptr && traits->answers;
  if (answers || !message.need_reply() ||
      !negotiated(ProtocolFeature::kReplyAck)) {
    return status;
  }
  // REPLY_ACK: "the back-end must respond with a payload of zero for success or
  // non-zero for failure".
  return Reply(message, uint64_t{status.ok() ? 0u : 1u});
}

absl::Status BackEndSession::Send(const Message& message) {
  return socket_.Send(message, stop_, kPatience);
}

void BackEndSession::ConfigChanged() {
  config_changed_.store(true, std::memory_order_relaxed);
  wake_.Signal();
}

void BackEndSession::NeedsReset() {
  status_.fetch_or(virtio::kStatusDeviceNeedsReset, std::memory_order_relaxed);
  ConfigChanged();
}

}  // namespace annulus::vhost_user
