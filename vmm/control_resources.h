#ifndef VMM_CONTROL_RESOURCES_H_
#define VMM_CONTROL_RESOURCES_H_

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// Makes the control socket of `config`, with the permissions that it says from
// the first connection on, or takes the inherited one over; nothing where none
// is configured. `file` is removed with it. REQUIRES: `config` is valid.
// Errors: "control.socket: " or "control.fd: ", and why.
absl::Status OpenControl(const ControlConfig& config, UniqueFd& listener,
                         virtio::BoundSocket& file);

}  // namespace annulus

#endif  // VMM_CONTROL_RESOURCES_H_
