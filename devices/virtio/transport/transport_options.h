#ifndef DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_
#define DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_

namespace annulus::virtio {

// Which features a transport offers beside those of its device: the device
// neither offers them nor is told of them, as it is the transport that
// implements them (virtio 1.4 §6 "Reserved Feature Bits").
struct TransportOptions {
  bool ring_reset = true;         // VIRTIO_F_RING_RESET, §2.6.1
  bool notification_data = true;  // VIRTIO_F_NOTIFICATION_DATA, §2.9
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_
