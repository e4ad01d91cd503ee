#include "vmm/config/workers_config_proto.h"

#include "absl/strings/str_cat.h"

namespace annulus {

absl::Status ReadPollKind(proto::PollKind message, PollKind& poll) {
  switch (message) {
    case proto::ADAPTIVE:
      poll = PollKind::kAdaptive;
      return absl::OkStatus();
    case proto::ALWAYS:
      poll = PollKind::kAlways;
      return absl::OkStatus();
    case proto::NEVER:
      poll = PollKind::kNever;
      return absl::OkStatus();
    default:  // proto3 enums are open: any number may come.
      return absl::InvalidArgumentError(
          absl::StrCat("poll: ", static_cast<int>(message),
                       " is not one of ADAPTIVE, ALWAYS, NEVER"));
  }
}

proto::PollKind ToProto(PollKind poll) {
  switch (poll) {
    case PollKind::kAdaptive:
      return proto::ADAPTIVE;
    case PollKind::kAlways:
      return proto::ALWAYS;
    case PollKind::kNever:
      return proto::NEVER;
  }
  return proto::ADAPTIVE;
}

}  // namespace annulus
