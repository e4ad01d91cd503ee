// BackEndSession: the configuration space, and what network devices have
// instead of some of it.

#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/request_payload.h"

namespace annulus::vhost_user {
namespace {

// "1: Vhost front-end messages used for live migration".
constexpr uint32_t kForMigration = 1;

// The description at the front of a message that has as many bytes behind it.
std::optional<ConfigDescription> DescriptionOf(const Message& message) {
  ConfigDescription description;
  if (message.size < sizeof(description)) return std::nullopt;
  std::memcpy(&description, message.payload.data(), sizeof(description));
  if (description.size > kMaxConfigBytes ||
      description.offset > kMaxConfigBytes - description.size ||
      message.size != sizeof(description) + description.size) {
    return std::nullopt;
  }
  return description;
}

}  // namespace

// "vhost-user back-end's payload size MUST match the front-end's request,
// vhost-user back-end uses zero length of payload to indicate an error".
// Front-ends ask for all that they know of; what the device does not have is 0.
absl::Status BackEndSession::GetConfig(Message& message) {
  Message reply;
  reply.request = message.request;
  reply.flags = kVersion | kFlagReply;
  const std::optional<ConfigDescription> wanted = DescriptionOf(message);
  if (!wanted.has_value()) return Send(reply);
  reply.size = message.size;
  std::memcpy(reply.payload.data(), &*wanted, sizeof(*wanted));
  const uint32_t size = device_.config_size();
  if (wanted->offset < size) {
    device_.ReadConfig(
        wanted->offset,
        absl::MakeSpan(reply.payload)
            .subspan(sizeof(*wanted),
                     std::min(wanted->size, size - wanted->offset)));
  }
  return Send(reply);
}

// "back-ends MUST NOT accept SET_CONFIG for read-only configuration space
// fields unless the live migration bit is set": and no device here has others.
// What a migration brings is what this device says by itself.
absl::Status BackEndSession::SetConfig(Message& message) {
  const std::optional<ConfigDescription> wanted = DescriptionOf(message);
  if (!wanted.has_value()) return NotItsSize(message);
  if (wanted->flags == kForMigration) return absl::OkStatus();
  return absl::InvalidArgumentError("no field can be written");
}

absl::Status BackEndSession::SetBackendReqFd(Message& message) {
  if (message.fds.size() != 1) {
    return absl::InvalidArgumentError("it does not bring a descriptor");
  }
  back_end_requests_.emplace(std::move(message.fds[0]));
  return absl::OkStatus();
}

// The front-end need not read what it is sent. Where there is no more room, it
// has not read of an earlier change either, and will see both at once.
void BackEndSession::SendConfigChange() {
  // Before it reads: of a change that comes just now it is told again.
  known_generation_ = device_.config_generation();
  if (!back_end_requests_.has_value()) return;
  Message change;
  change.request = static_cast<uint32_t>(BackEndRequest::kConfigChange);
  const absl::Status status =
      back_end_requests_->Send(change, stop_, absl::ZeroDuration());
  if (!status.ok() && !absl::IsDeadlineExceeded(status)) {
    back_end_requests_.reset();
  }
}

void BackEndSession::NoticeConfigChange() {
  if (device_.config_generation() != known_generation_) ConfigChanged();
}

absl::Status BackEndSession::NetSetMtu(Message& message) {
  const auto mtu = message.Payload<uint64_t>();
  if (!mtu.has_value()) return NotItsSize(message);
  if (back_end_device_.SetMtu(*mtu)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("an MTU of %u is not possible", *mtu));
}

absl::Status BackEndSession::SendRarp(Message& message) {
  const auto payload = message.Payload<std::array<uint8_t, 8>>();
  if (!payload.has_value()) return NotItsSize(message);
  std::array<uint8_t, 6> mac;
  std::memcpy(mac.data(), payload->data(), mac.size());
  if (back_end_device_.SendRarp(mac)) return absl::OkStatus();
  return absl::UnavailableError("the frame could not be sent");
}

}  // namespace annulus::vhost_user
