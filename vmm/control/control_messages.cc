#include "vmm/control/control_messages.h"

#include <unistd.h>

#include <string>

namespace annulus {
namespace {

proto::ControlCode ToProto(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return proto::OK;
    case absl::StatusCode::kInvalidArgument:
      return proto::INVALID_ARGUMENT;
    case absl::StatusCode::kNotFound:
      return proto::NOT_FOUND;
    case absl::StatusCode::kPermissionDenied:
      return proto::PERMISSION_DENIED;
    case absl::StatusCode::kResourceExhausted:
      return proto::RESOURCE_EXHAUSTED;
    case absl::StatusCode::kFailedPrecondition:
      return proto::FAILED_PRECONDITION;
    case absl::StatusCode::kUnimplemented:
      return proto::UNIMPLEMENTED;
    default:  // Abseil's own; nobody returns another here.
      return proto::UNKNOWN;
  }
}

proto::ControlStatus::State ToProto(VmState state) {
  switch (state) {
    case VmState::kCreated:
      return proto::ControlStatus::CREATED;
    case VmState::kRunning:
      return proto::ControlStatus::RUNNING;
    case VmState::kPaused:
      return proto::ControlStatus::PAUSED;
    case VmState::kStopped:
      return proto::ControlStatus::STOPPED;
  }
  return proto::ControlStatus::STOPPED;
}

proto::ControlEvent::Kind ToProto(VmEvent::Kind kind) {
  switch (kind) {
    case VmEvent::Kind::kStarted:
      return proto::ControlEvent::STARTED;
    case VmEvent::Kind::kPaused:
      return proto::ControlEvent::PAUSED;
    case VmEvent::Kind::kResumed:
      return proto::ControlEvent::RESUMED;
    case VmEvent::Kind::kDriverReady:
      return proto::ControlEvent::DRIVER_READY;
    case VmEvent::Kind::kDeviceReset:
      return proto::ControlEvent::DEVICE_RESET;
    case VmEvent::Kind::kQueueBroken:
      return proto::ControlEvent::QUEUE_BROKEN;
    case VmEvent::Kind::kLinkChanged:
      return proto::ControlEvent::LINK_CHANGED;
    case VmEvent::Kind::kStopped:
      return proto::ControlEvent::STOPPED;
  }
  return proto::ControlEvent::OTHER;
}

}  // namespace

void WriteStatus(const absl::Status& status, proto::ControlReply& reply) {
  reply.set_code(ToProto(status.code()));
  reply.set_error(std::string(status.message()));
}

void WriteFacts(const ControlFacts& facts, proto::ControlStatus& message) {
  message.set_name(facts.name);
  message.set_state(ToProto(facts.state));
  message.set_uptime_ms(static_cast<uint64_t>(facts.uptime_ms));
  message.set_cpus(facts.cpus);
  message.set_memory_bytes(facts.memory_bytes);
  message.set_pid(::getpid());
  message.set_net_cards(facts.net_cards);
}

void WriteCounters(const std::vector<CounterSample>& samples,
                   proto::ControlCounters& message) {
  for (const CounterSample& sample : samples) {
    proto::ControlCounter& counter = *message.add_counters();
    counter.set_device(sample.device);
    counter.set_queue(sample.queue);
    counter.set_name(sample.name);
    counter.set_reason(sample.reason);
    counter.set_value(sample.value);
    counter.set_gauge(sample.gauge);
  }
}

void WriteEvent(const VmEvent& event, uint64_t lost,
                proto::ControlEvent& message) {
  message.set_kind(ToProto(event.kind));
  message.set_time_ns(event.time_ns);
  message.set_device(event.device);
  message.set_queue(event.queue);
  message.set_link_up(event.link_up);
  if (event.exit.has_value()) {
    message.set_exit_reason(std::string(ExitReasonName(event.exit->reason)));
    message.set_exit_detail(event.exit->detail);
    message.set_exit_code(event.exit->code);
  }
  message.set_lost(lost);
}

}  // namespace annulus
