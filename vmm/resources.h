#ifndef VMM_RESOURCES_H_
#define VMM_RESOURCES_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/device.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"
#include "vmm/vhost_user_resources.h"
#include "vmm/vm_event.h"
#include "vmm/vsock_resources.h"

namespace annulus {

// A device that the embedder wrote: see docs/embedding.md.
struct CustomDevice {
  // Offers the features that it implements. Unlike the library's own ones it
  // has them all: of `virtio`, the transport and what that does itself count.
  std::unique_ptr<virtio::VirtioDevice> device;
  VirtioConfig virtio;
  std::string name = "custom";  // In events and log lines.
};

// Everything that a VM needs from the outside, opened by the embedder: a
// sandboxed process gets these descriptors passed and opens nothing itself.
//
// Threads: a value. The VM uses `kvm`, `kernel` and `initrd` in Vmm::Create()
//   alone, and the others until it is gone: those of the console and `control`
//   on its control thread, the former without changing their flags.
// Trust: Vmm::Create() refuses what is not what it should be; the content of
//   kernel and initrd is untrusted.
struct Resources {
  UniqueFd kvm;          // /dev/kvm, read-write.
  UniqueFd kernel;       // A regular file, from its beginning.
  UniqueFd initrd;       // Likewise; not valid: no initrd.
  UniqueFd console_in;   // Bytes for the guest's serial port; not valid: none.
  UniqueFd console_out;  // What the guest prints; not valid: dropped.
  // A unix stream socket that listens, where who may (ControlConfig) controls
  // the VM; not valid: nobody does. Vmm::Create() makes it non-blocking.
  UniqueFd control;
  virtio::BoundSocket control_file;  // Its file, removed at the end; or none.
  // One for each entropy device, in order; those that no other process serves
  // need nothing, and where there are only such, may be left out.
  std::vector<VhostUserResources> rng;
  std::vector<NetResources> net;  // One for each card, in order.
  std::optional<VsockResources>
      vsock;               // Of the socket device, if there is one.
  LogSink* log = nullptr;  // Outlives the Vmm. Null: log lines are dropped.
  VmEventSink* events = nullptr;  // Likewise, events.
  // Devices of the embedder's own. They come behind those of the configuration.
  std::vector<CustomDevice> devices;
};

// Opens /dev/kvm and the files that `config` names; console_in and console_out
// are duplicates of standard input and output for ConsoleConfig::kStdio. For
// embedders that are not sandboxed. Devices that another process serves are
// connected to it, or listen for it: Vmm::Create() waits for who does not come
// by itself, for a minute. Network cards get their interfaces, sockets
// and duplicates of descriptors; the socket device binds its sockets. Console
// and pcap files are created, or truncated, once all the others are open.
// REQUIRES: `config` is valid.
// Errors: the errno of what could not be opened, InvalidArgument for what is no
//   regular file; the message names field, file and reason.
absl::StatusOr<Resources> OpenResources(const VmConfig& config);

}  // namespace annulus

#endif  // VMM_RESOURCES_H_
