// BackEndSession: the log of pages that the device wrote.

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/event_descriptor.h"

namespace annulus::vhost_user {

// Has a reply of its own, with or without REPLY_ACK: front-ends wait for it.
absl::Status BackEndSession::SetLogBase(Message& message) {
  const auto description = message.Payload<LogDescription>();
  if (!description.has_value() || message.fds.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("its payload has %u bytes, it brings %u descriptors",
                        message.size, message.fds.size()));
  }
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<LogMemory> log,
                           LogMemory::Map(*description, message.fds[0], wake_));
  PauseVrings();
  log_memory_.swap(log);  // That of before is still in use.
  UseLog();
  StartVrings();
  return Reply(message, uint64_t{0});
}

// "may be used to inform the front-end that the log has been modified": it
// looks by itself in time.
absl::Status BackEndSession::SetLogFd(Message& message) {
  if (message.fds.size() != 1) {
    return absl::InvalidArgumentError("it does not bring a descriptor");
  }
  return AsEventDescriptor(std::move(message.fds[0])).status();
}

// Writes to used rings are marked as well, whatever VHOST_VRING_F_LOG says, and
// at the address that the guest has them: the front-end then copies too much.
void BackEndSession::UseLog() {
  const bool logs = features_.has_value() && log_memory_ != nullptr &&
                    (*features_ >> kFeatureLogAll & 1) != 0;
  memory_.SetDirtyLog(logs ? &log_memory_->log() : nullptr);
}

}  // namespace annulus::vhost_user
