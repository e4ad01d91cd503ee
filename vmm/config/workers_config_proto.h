#ifndef VMM_CONFIG_WORKERS_CONFIG_PROTO_H_
#define VMM_CONFIG_WORKERS_CONFIG_PROTO_H_

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of config_proto.h that is about the threads of queues, which devices
// of all kinds have under the same names.

// Errors: "poll: ...", for numbers that the enum does not have.
absl::Status ReadPollKind(proto::PollKind message, PollKind& poll);
proto::PollKind ToProto(PollKind poll);

// Overwrites what `message` has.
template <typename Message, typename Config>
absl::Status ReadWorkers(const Message& message, Config& config) {
  if (message.has_poll()) {
    ANNULUS_RETURN_IF_ERROR(ReadPollKind(message.poll(), config.poll));
  }
  if (message.has_poll_microseconds()) {
    config.poll_microseconds = message.poll_microseconds();
  }
  config.worker_cpus.assign(message.worker_cpus().begin(),
                            message.worker_cpus().end());
  return absl::OkStatus();
}

template <typename Message, typename Config>
void WriteWorkers(const Config& config, Message& message) {
  message.set_poll(ToProto(config.poll));
  message.set_poll_microseconds(config.poll_microseconds);
  message.mutable_worker_cpus()->Add(config.worker_cpus.begin(),
                                     config.worker_cpus.end());
}

}  // namespace annulus

#endif  // VMM_CONFIG_WORKERS_CONFIG_PROTO_H_
