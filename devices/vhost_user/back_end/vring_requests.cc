// BackEndSession: the vrings.

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/event_descriptor.h"
#include "devices/vhost_user/back_end/poll_timer.h"
#include "devices/vhost_user/back_end/request_payload.h"

namespace annulus::vhost_user {

struct BackEndSession::VringFile {
  Vring* vring = nullptr;
  UniqueFd fd;  // Not valid: it brings none.
};

absl::StatusOr<Vring*> BackEndSession::VringAt(uint64_t index) const {
  if (index >= vrings_.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vring %u, where there are %u", index, vrings_.size()));
  }
  return vrings_[index].get();
}

absl::StatusOr<BackEndSession::VringFile> BackEndSession::TakeVringFile(
    Message& message) const {
  const auto payload = message.Payload<uint64_t>();
  if (!payload.has_value()) return NotItsSize(message);
  VringFile file;
  ANNULUS_ASSIGN_OR_RETURN(file.vring, VringAt(*payload & kVringIndexMask));
  const bool brings = (*payload & kVringNoFd) == 0;
  if (brings != (message.fds.size() == 1)) {
    return absl::InvalidArgumentError(
        "it does not bring a descriptor, or brings one that it denies");
  }
  if (!brings) return file;
  ANNULUS_ASSIGN_OR_RETURN(file.fd,
                           AsEventDescriptor(std::move(message.fds[0])));
  return file;
}

absl::Status BackEndSession::SetVringNum(Message& message) {
  const auto state = message.Payload<VringState>();
  if (!state.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(Vring * vring, VringAt(state->index));
  ANNULUS_RETURN_IF_ERROR(vring->SetSize(state->num));
  StartVrings();
  return absl::OkStatus();
}

// Also under traffic: that is how logging of its used ring is switched.
absl::Status BackEndSession::SetVringAddr(Message& message) {
  const auto addresses = message.Payload<VringAddress>();
  if (!addresses.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(Vring * vring, VringAt(addresses->index));
  vring->Pause(device_);
  ANNULUS_RETURN_IF_ERROR(vring->SetAddresses(*addresses));
  StartVrings();
  return absl::OkStatus();
}

absl::Status BackEndSession::SetVringBase(Message& message) {
  const auto state = message.Payload<VringState>();
  if (!state.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(Vring * vring, VringAt(state->index));
  const bool new_driver = vring->IsNewDriver(state->num);
  ANNULUS_RETURN_IF_ERROR(vring->SetBase(state->num));
  if (new_driver) RestartDevice();
  StartVrings();
  return absl::OkStatus();
}

absl::Status BackEndSession::GetVringBase(Message& message) {
  const auto state = message.Payload<VringState>();
  if (!state.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(Vring * vring, VringAt(state->index));
  return Reply(message,
               VringState{.index = state->index, .num = vring->Stop(device_)});
}

absl::Status BackEndSession::SetVringKick(Message& message) {
  ANNULUS_ASSIGN_OR_RETURN(VringFile file, TakeVringFile(message));
  // "This signals that polling should be used instead of waiting for the kick."
  if (!file.fd.valid()) {
    ANNULUS_ASSIGN_OR_RETURN(file.fd, CreatePollTimer());
  }
  file.vring->Pause(device_);
  file.vring->SetKick(std::move(file.fd));
  StartVrings();
  return absl::OkStatus();
}

absl::Status BackEndSession::SetVringCall(Message& message) {
  ANNULUS_ASSIGN_OR_RETURN(VringFile file, TakeVringFile(message));
  CallInterrupt& call = file.vring->call();
  if (!file.fd.valid()) {
    call.Disconnect();
    return absl::OkStatus();
  }
  ANNULUS_RETURN_IF_ERROR(call.Connect(file.fd));
  call.Trigger();  // The last one may have gone to the one of before.
  return absl::OkStatus();
}

absl::Status BackEndSession::SetVringErr(Message& message) {
  ANNULUS_ASSIGN_OR_RETURN(VringFile file, TakeVringFile(message));
  if (file.fd.valid()) return file.vring->error().Connect(file.fd);
  file.vring->error().Disconnect();
  return absl::OkStatus();
}

absl::Status BackEndSession::SetVringEnable(Message& message) {
  const auto state = message.Payload<VringState>();
  if (!state.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(Vring * vring, VringAt(state->index));
  if (state->num > 1) {
    return absl::InvalidArgumentError("it is neither to enable nor to disable");
  }
  vring->SetEnabled(state->num == 1);
  if (state->num == 0) vring->Pause(device_);
  StartVrings();
  return absl::OkStatus();
}

void BackEndSession::PauseVrings() {
  for (const std::unique_ptr<Vring>& vring : vrings_) vring->Pause(device_);
}

void BackEndSession::StartVrings() {
  if (!features_accepted_ || memory_.memory() == nullptr) return;
  const bool enabled_by_default =
      (*features_ >> kFeatureProtocolFeatures & 1) == 0;
  for (size_t i = 0; i < vrings_.size(); ++i) {
    if (!vrings_[i]->ready(enabled_by_default)) continue;
    if (!started_) device_.Start(device_features_);
    started_ = true;
    vrings_[i]->Start({.device = device_,
                       .memory = memory_,
                       .features = device_features_,
                       .enabled_by_default = enabled_by_default,
                       .inflight = inflight_.has_value() ? inflight_->queue(i)
                                                         : memory::GuestSpan(),
                       .state_file = state_file_});
  }
  NoticeConfigChange();
}

void BackEndSession::RestartDevice() {
  PauseVrings();
  device_.Reset();
  started_ = false;
  StartVrings();
}

}  // namespace annulus::vhost_user
