// BackEndSession: memory of the front-end in which queues note what they have
// in flight.

#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/request_payload.h"
#include "devices/virtio/queue/inflight/inflight_region.h"

namespace annulus::vhost_user {

absl::Status BackEndSession::GetInflightFd(Message& message) {
  const auto wanted = message.Payload<InflightDescription>();
  if (!wanted.has_value()) return NotItsSize(message);
  ANNULUS_ASSIGN_OR_RETURN(
      InflightMemory::Buffer buffer,
      InflightMemory::Create(
          wanted->num_queues, wanted->queue_size,
          virtio::InflightRegionBytes(packed(), wanted->queue_size)));
  Message reply = MakeMessage(message.request, kFlagReply, buffer.description);
  reply.fds.push_back(std::move(buffer.fd));
  return Send(reply);
}

// Queues that start for the first time in this connection recover from it what
// an earlier process had in flight.
absl::Status BackEndSession::SetInflightFd(Message& message) {
  const auto description = message.Payload<InflightDescription>();
  if (!description.has_value()) return NotItsSize(message);
  if (message.fds.size() != 1) {
    return absl::InvalidArgumentError("it does not bring a descriptor");
  }
  ANNULUS_ASSIGN_OR_RETURN(
      InflightMemory inflight,
      InflightMemory::Map(
          *description, message.fds[0],
          virtio::InflightRegionBytes(packed(), description->queue_size),
          wake_));
  PauseVrings();
  inflight_.emplace(std::move(inflight));
  StartVrings();
  return absl::OkStatus();
}

void BackEndSession::ForgetInflight(size_t index) {
  if (inflight_.has_value() && !inflight_->queue(index).empty()) {
    virtio::InflightRegion(inflight_->queue(index)).Invalidate();
  }
  if (state_file_ != nullptr) state_file_->Forget(index);
}

}  // namespace annulus::vhost_user
