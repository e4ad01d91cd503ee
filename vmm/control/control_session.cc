#include "vmm/control/control_session.h"

#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "vmm/control/control_messages.h"

namespace annulus {

void ControlSession::Refuse(const absl::Status& why) {
  proto::ControlReply reply;
  WriteStatus(why, reply);
  Send(reply);
  failed_ = true;
}

void ControlSession::Receive(absl::string_view bytes) {
  reader_.Append(bytes);
  Serve();
}

void ControlSession::Serve() {
  while (WantsInput()) {
    const std::optional<absl::string_view> message = reader_.Next();
    if (!message.has_value()) break;
    ServeRequest(*message);
  }
  if (!failed_ && !reader_.status().ok()) Refuse(reader_.status());
}

void ControlSession::ServeRequest(absl::string_view message) {
  proto::ControlRequest request;
  if (!request.ParseFromArray(message.data(),
                              static_cast<int>(message.size()))) {
    Refuse(absl::InvalidArgumentError("what comes is no request"));
    return;
  }
  proto::ControlReply reply;
  const absl::Status status = Execute(request, reply);
  if (!status.ok()) reply.Clear();
  reply.set_id(request.id());
  WriteStatus(status, reply);
  Send(reply);
}

absl::Status ControlSession::Execute(const proto::ControlRequest& request,
                                     proto::ControlReply& reply) {
  switch (request.command_case()) {
    case proto::ControlRequest::kStatus:
      WriteFacts(target_.Facts(), *reply.mutable_status());
      return absl::OkStatus();
    case proto::ControlRequest::kPause:
      return target_.Pause();
    case proto::ControlRequest::kResume:
      return target_.Resume();
    case proto::ControlRequest::kStop:
      return StopVm(request.stop());
    case proto::ControlRequest::kLink:
      return target_.SetLink(request.link().card(), request.link().up());
    case proto::ControlRequest::kCounters:
      reply.mutable_counters()->set_name(target_.Facts().name);
      WriteCounters(target_.Counters(), *reply.mutable_counters());
      return absl::OkStatus();
    case proto::ControlRequest::kEvents:
      subscribed_ = true;
      events_id_ = request.id();
      return absl::OkStatus();
    case proto::ControlRequest::COMMAND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("an unknown request, or none");
}

absl::Status ControlSession::StopVm(const proto::StopCommand& command) {
  if (command.graceful_ms() == 0) {
    target_.StopByControl();
    return absl::OkStatus();
  }
  // A guest that does not run feels no button.
  if (target_.Facts().state == VmState::kPaused) {
    ANNULUS_RETURN_IF_ERROR(target_.Resume());
  }
  ANNULUS_RETURN_IF_ERROR(target_.PressPowerButton());
  timer_.StopAfter(absl::Milliseconds(command.graceful_ms()));
  return absl::OkStatus();
}

void ControlSession::OnEvent(const VmEvent& event, uint64_t lost) {
  if (!subscribed_ || failed_) return;
  lost_ += lost;
  const bool last = event.kind == VmEvent::Kind::kStopped;
  if (output_size() > kMaxOutput && !last) {
    ++lost_;
    return;
  }
  proto::ControlReply reply;
  reply.set_id(events_id_);
  WriteEvent(event, std::exchange(lost_, 0), *reply.mutable_event());
  Send(reply);
}

void ControlSession::Send(const proto::ControlReply& reply) {
  if (sent_ > 0) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
  AppendDelimited(reply, output_);
}

void ControlSession::Sent(size_t bytes) {
  sent_ += bytes;
  if (sent_ < output_.size()) return;
  output_.clear();
  sent_ = 0;
}

}  // namespace annulus
