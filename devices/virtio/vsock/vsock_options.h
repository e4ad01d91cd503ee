#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_OPTIONS_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/worker/worker_policy.h"

namespace annulus::virtio {

// Numbers of what no specification has given one.
struct VsockNumbers {
  uint32_t mrg_rxbuf_feature = kVsockMrgRxbufDefault;
  uint32_t dgram_feature = kVsockDgramDefault;
};

// What a socket device is to be like.
struct VsockOptions {
  std::string name = "vsock0";  // Of its threads and in log lines.
  uint64_t guest_cid = kVsockFirstGuestCid;
  // What may be offered of the device-independent features and of STREAM,
  // SEQPACKET and NO_IMPLIED_STREAM.
  FeatureSet features;
  bool mrg_rxbuf = false;  // Offer it.
  bool dgram = false;      // Offer it: the device has five queues then.
  VsockNumbers numbers;
  uint16_t queue_size = 256;  // A power of two, 2 to 1024.
  // The window that each connection grants the guest, and what it may have to
  // hold for a host program that does not read: 4 KiB to 64 MiB.
  uint32_t buf_alloc = 256 * 1024;
  uint32_t max_connections = 4096;  // Beyond it: RST, or the caller is closed.
  // How long a caller of the host waits for the guest's driver, and then for
  // the guest's answer; and how long for somebody to listen in the guest.
  absl::Duration connect_wait = absl::Seconds(10);
  absl::Duration listen_wait = absl::ZeroDuration();
  // How long after both directions were shut down the peer's RST is waited for.
  absl::Duration close_wait = absl::Seconds(8);
  WorkerPolicy workers = {};  // Of its queues.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_OPTIONS_H_
