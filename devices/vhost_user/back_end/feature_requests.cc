// BackEndSession: negotiation, status and reset.

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/request_payload.h"
#include "devices/virtio/spec/status.h"

namespace annulus::vhost_user {
namespace {

constexpr uint64_t kVhostBits =
    uint64_t{1} << kFeatureLogAll | uint64_t{1} << kFeatureProtocolFeatures;

uint64_t LowBits(const virtio::FeatureSet& features) {
  return features.Page(0) | uint64_t{features.Page(1)} << 32;
}

virtio::FeatureSet FromLowBits(uint64_t bits) {
  virtio::FeatureSet features;
  features.SetPage(0, static_cast<uint32_t>(bits));
  features.SetPage(1, static_cast<uint32_t>(bits >> 32));
  return features;
}

}  // namespace

// An available buffer notification is an eventfd: it carries no data.
uint64_t BackEndSession::OfferedFeatures() const {
  virtio::FeatureSet offered = device_.offered_features();
  offered.Remove(virtio::kFeatureNotificationData);
  return LowBits(offered) | kVhostBits;
}

uint64_t BackEndSession::OfferedProtocolFeatures() const {
  using F = ProtocolFeature;
  return Bit(F::kMq) | Bit(F::kLogShmfd) | Bit(F::kInflightShmfd) |
         Bit(F::kReplyAck) | Bit(F::kBackendReq) | Bit(F::kConfig) |
         Bit(F::kBackendSendFd) | Bit(F::kResetDevice) |
         Bit(F::kConfigureMemSlots) | Bit(F::kStatus) |
         back_end_device_.protocol_features();
}

absl::Status BackEndSession::GetFeatures(Message& message) {
  return Reply(message, OfferedFeatures());
}

absl::Status BackEndSession::SetFeatures(Message& message) {
  const auto features = message.Payload<uint64_t>();
  if (!features.has_value()) return NotItsSize(message);
  const uint64_t offered = OfferedFeatures();
  if ((*features & ~(offered | back_end_device_.own_features())) != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "features %#x, where %#x are offered", *features, offered));
  }
  const virtio::FeatureSet wanted =
      FromLowBits(back_end_device_.DeviceFeatures(*features & ~kVhostBits));
  PauseVrings();
  if (started_ && wanted != device_features_) {
    device_.Reset();
    started_ = false;
  }
  features_ = *features;
  device_features_ = wanted;
  UseLog();
  features_accepted_ =
      wanted.Has(virtio::kFeatureVersion1) && device_.AcceptFeatures(wanted);
  StartVrings();
  if (features_accepted_) return absl::OkStatus();
  // A front-end that knows the status learns of it there, another one sees a
  // device that does nothing; QEMU does this for drivers of before VERSION_1.
  if (message.need_reply()) {
    return absl::InvalidArgumentError("the device does not take these");
  }
  return absl::OkStatus();
}

// "This can be used on the back-end as a session start flag."
absl::Status BackEndSession::SetOwner(Message& /*message*/) {
  return absl::OkStatus();
}

// "It is recommended that back-ends either ignore this message, or use it to
// disable all rings."
absl::Status BackEndSession::ResetOwner(Message& /*message*/) {
  for (const std::unique_ptr<Vring>& vring : vrings_) {
    vring->SetEnabled(false);
    vring->Stop(device_);
  }
  return absl::OkStatus();
}

absl::Status BackEndSession::GetProtocolFeatures(Message& message) {
  return Reply(message, OfferedProtocolFeatures());
}

absl::Status BackEndSession::SetProtocolFeatures(Message& message) {
  const auto features = message.Payload<uint64_t>();
  if (!features.has_value()) return NotItsSize(message);
  if ((*features & ~OfferedProtocolFeatures()) != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("protocol features %#x, where %#x are offered",
                        *features, OfferedProtocolFeatures()));
  }
  protocol_features_ = *features;
  return absl::OkStatus();
}

absl::Status BackEndSession::GetQueueNum(Message& message) {
  return Reply(message, back_end_device_.queue_num());
}

absl::Status BackEndSession::SetStatus(Message& message) {
  const auto payload = message.Payload<uint64_t>();
  if (!payload.has_value()) return NotItsSize(message);
  auto status = static_cast<uint8_t>(*payload);
  if (status == 0) {
    ResetAll();
    return absl::OkStatus();
  }
  if (!features_accepted_) status &= uint8_t{0xff} ^ virtio::kStatusFeaturesOk;
  // DEVICE_NEEDS_RESET is not the driver's: it stays as it is.
  constexpr uint8_t kOurs = virtio::kStatusDeviceNeedsReset;
  const uint8_t theirs = status & static_cast<uint8_t>(~kOurs);
  uint8_t before = status_.load(std::memory_order_relaxed);
  while (!status_.compare_exchange_weak(
      before, static_cast<uint8_t>(theirs | (before & kOurs)),
      std::memory_order_relaxed)) {
  }
  return absl::OkStatus();
}

absl::Status BackEndSession::GetStatus(Message& message) {
  return Reply(message, uint64_t{status_.load(std::memory_order_relaxed)});
}

absl::Status BackEndSession::ResetDevice(Message& /*message*/) {
  ResetAll();
  return absl::OkStatus();
}

// "disable all rings and reset all internal device state to the initial state,
// ready to be reinitialized". Memory, the log and descriptors are the
// connection's, but what is noted there of queues is of the driver's.
void BackEndSession::ResetAll() {
  PauseVrings();
  device_.Reset();
  started_ = false;
  for (size_t i = 0; i < vrings_.size(); ++i) {
    // What a process before this one left is still to be recovered: some
    // front-ends reset a device that they found again.
    if (vrings_[i]->was_started()) ForgetInflight(i);
    vrings_[i]->Reset();
  }
  features_.reset();
  device_features_ = {};
  features_accepted_ = false;
  status_.store(0, std::memory_order_relaxed);
}

}  // namespace annulus::vhost_user
