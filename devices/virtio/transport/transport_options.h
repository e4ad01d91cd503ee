#ifndef DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_
#define DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_

#include "devices/virtio/transport/device_observer.h"

namespace annulus::virtio {

// What whoever makes a transport decides.
struct TransportOptions {
  // Which features it offers beside those of its device: the device neither
  // offers them nor is told of them, as it is the transport that implements
  // them (virtio 1.4 §6 "Reserved Feature Bits").
  bool ring_reset = true;         // VIRTIO_F_RING_RESET, §2.6.1
  bool notification_data = true;  // VIRTIO_F_NOTIFICATION_DATA, §2.9
  // Another process has the eventfds of notifications, too, and is not trusted
  // with whoever signals one: see SharedEventSignal.
  bool shared_notifications = false;

  DeviceObserver* observer = nullptr;  // Outlives the transport; or null.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_TRANSPORT_OPTIONS_H_
