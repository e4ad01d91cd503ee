#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_VSOCK_SWITCH_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_VSOCK_SWITCH_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/vsock/switch/switch_member.h"
#include "devices/virtio/vsock/switch/switch_port.h"

namespace annulus::virtio {

struct SwitchOptions {
  // Where devices of several processes meet: each listens at the socket
  // DIRECTORY/<cid>. Empty: only those of this process reach each other.
  std::string directory;
};

struct SwitchPortOptions {
  std::string name = "vsock0";  // In log lines.
  // Of connections that the guest begins; see SwitchConnectionTable for the
  // others.
  uint32_t max_connections = 4096;
  // Of packets that wait for the guest, and of datagrams again as many; see
  // PacketQueue. 256 KiB at least. Guests that keep to their credit need
  // the sum of the windows of all connections that stall at once.
  uint64_t max_bytes = 64 * 1024 * 1024;
};

// Connects the socket devices of guests with each other, by CID.
//
// Threads: thread-safe.
// Trust: guests speak for their own CID alone, and none can keep the others out
//   by what it sends or does not read. A process that may connect to the
//   sockets of the directory may speak for any CID that no device of this
//   process has, so the directory's permissions decide who belongs together:
//   sockets have those, less the process's umask. Who may write in the
//   directory may also take a CID that is free. Tenants who do not trust each
//   other get a directory each. Otherwise other processes may send anything, or
//   nothing, or not read: that harms connections with their CID only.
class VsockSwitch {
 public:
  static absl::StatusOr<std::shared_ptr<VsockSwitch>> Create(
      const SwitchOptions& options);

  VsockSwitch(const VsockSwitch&) = delete;
  VsockSwitch& operator=(const VsockSwitch&) = delete;

  // The place of the guest of that CID, until the port is destroyed; it may
  // outlive the switch. Nobody reaches it before Start(). AlreadyExists for a
  // CID that is taken, InvalidArgument for one that no guest can have, and for
  // bounds that make no sense. `log` outlives the port.
  absl::StatusOr<std::unique_ptr<SwitchPort>> Attach(
      uint64_t cid, const SwitchPortOptions& options, LogSink& log);

 private:
  explicit VsockSwitch(const SwitchOptions& options);

  const SwitchOptions options_;
  const std::shared_ptr<SwitchMembers> members_;  // Shared with the ports.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_VSOCK_SWITCH_H_
