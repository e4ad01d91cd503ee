#ifndef VMM_VHOST_USER_RESOURCES_H_
#define VMM_VHOST_USER_RESOURCES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// Where the process comes from that serves a device, opened: one of the two.
//
// Threads: a value.
struct VhostUserResources {
  UniqueFd listener;    // It connects here.
  UniqueFd connection;  // It is connected.
  // The file of a socket that was made, which is removed with this.
  virtio::BoundSocket listener_file;
};

// Connects to the socket, makes it and listens, or takes the descriptor over:
// as long as that stayed open, the other side could not tell that the
// connection was closed. Nothing, where none is given. REQUIRES: `vhost_user`
// is valid. Errors: "DEVICE.vhost_user.FIELD: what could not be opened and
// why", where DEVICE is `at`.
absl::StatusOr<VhostUserResources> OpenVhostUser(
    const std::string& at, const VhostUserConfig& vhost_user);

// An inherited unix stream socket, which is taken over: whichever of the two it
// is. Errors begin with `field`.
absl::Status TakeSocket(const std::string& field, uint32_t number,
                        UniqueFd& listener, UniqueFd& connection);

}  // namespace annulus

#endif  // VMM_VHOST_USER_RESOURCES_H_
