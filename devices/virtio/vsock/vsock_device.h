#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {

// Socket device (virtio 1.4 §5.10 "Socket Device"): stream, seqpacket and
// datagram sockets between a guest and the host, and between guests. Each
// virtqueue is served by a thread of its own.
//
// Threads: as VirtioDevice; ResetTransport() is serialized with Start() and
//   Reset() by the device itself; the counters from any thread.
// Trust: all that the driver writes is guest-controlled; programs of the host
//   are not trusted either.
// Allocation: per connection; none per packet.
class VsockDevice : public VirtioDevice {
 public:
  static constexpr uint16_t kMaxQueueSize = 1024;

  // `port` is the device's place in a switch, or null: it reaches no other
  // guest. `log` outlives the device. InvalidArgument for options that make no
  // sense; else what the host refuses.
  static absl::StatusOr<std::unique_ptr<VsockDevice>> Create(
      const VsockOptions& options, std::unique_ptr<VsockBackend> backend,
      std::unique_ptr<SwitchPort> port, LogSink& log);

  // The guest is to forget its connections, and to look what CID it has: after
  // it was resumed elsewhere, or copied (§5.10.6.7 "Device Events"). Sockets of
  // the host are closed. Nothing is sent to the guest until it has taken
  // notice, which is when it makes a buffer available in the event virtqueue
  // again: it might else lose what it is sent. Any thread.
  virtual void ResetTransport(uint64_t guest_cid) = 0;

  // Of the workers of rx and tx.
  virtual const VsockCounters& rx_counters() const = 0;
  virtual const VsockCounters& tx_counters() const = 0;
  virtual uint32_t connections() const = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_
