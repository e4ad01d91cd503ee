#ifndef VMM_VSOCK_RESOURCES_H_
#define VMM_VSOCK_RESOURCES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "vmm/config/vm_config.h"
#include "vmm/vhost_user_resources.h"

namespace annulus {

// What the socket device needs from the outside, opened.
//
// Threads: a value.
struct VsockResources {
  // Where programs of the host call, and are called; their files are removed
  // with the VM.
  virtio::UnixSockets sockets;
  // Where other guests are. Null: nowhere. VMs of one process that are given
  // the same one reach each other without the kernel in between.
  std::shared_ptr<virtio::VsockSwitch> vsock_switch;
  // Of a device that another process serves, which has none of the above.
  VhostUserResources vhost_user;
};

// Binds the sockets, duplicates the descriptors and opens the directory that
// `vsock` names, or connects to the process that serves it. REQUIRES: it is
// valid. Errors: what could not be opened and why; they begin with "vsock".
absl::StatusOr<VsockResources> OpenVsockResources(const VsockConfig& vsock);

}  // namespace annulus

#endif  // VMM_VSOCK_RESOURCES_H_
