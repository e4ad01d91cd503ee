#ifndef VMM_STANDALONE_DEVICE_RESOURCES_H_
#define VMM_STANDALONE_DEVICE_RESOURCES_H_

#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/devices_config.h"
#include "vmm/net_resources.h"
#include "vmm/vsock_resources.h"

namespace annulus {

// What one device that stands alone needs from the outside, opened.
//
// Threads: a value.
struct DeviceResources {
  vhost_user::BackEndEndpoint endpoint;
  // The file of a socket that was made, which is removed with this.
  virtio::BoundSocket socket_file;
  UniqueFd state_file;  // Locked against other processes; not valid: none.
  // Of the kind that is configured; an entropy device needs nothing.
  std::variant<std::monostate, NetResources, VsockResources> kind;
};

// Opens, for each device, what `config` names: sockets are bound, descriptors
// of front-ends (DeviceConfig::fd) are taken over, those of backends
// duplicated, interfaces opened. A state file or a tap that another process
// has is awaited for two seconds: that may have been killed, and not be quite
// gone. REQUIRES:
// it is valid. Errors: what could not be opened and why; they begin with
// "device[INDEX].".
absl::StatusOr<std::vector<DeviceResources>> OpenDeviceResources(
    const DevicesConfig& config);

}  // namespace annulus

#endif  // VMM_STANDALONE_DEVICE_RESOURCES_H_
