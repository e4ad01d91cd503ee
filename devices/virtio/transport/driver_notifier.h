#ifndef DEVICES_VIRTIO_TRANSPORT_DRIVER_NOTIFIER_H_
#define DEVICES_VIRTIO_TRANSPORT_DRIVER_NOTIFIER_H_

#include <cstdint>

#include "devices/interrupt.h"

namespace annulus::virtio {

// How a transport notifies its driver (virtio 1.4 §2.3 "Notifications"):
// DeviceState decides when, the transport knows by which means.
//
// Threads: Trigger() of the interrupts and ConfigurationChange() are called
//   from queue workers: thread-safe and lock-free. ResetQueue() and Reset() are
//   serialized with each other only.
class DriverNotifier {
 public:
  virtual ~DriverNotifier() = default;

  // Used buffer notifications of one queue. `queue` is one of the device's.
  // Valid as long as the notifier.
  virtual Interrupt& UsedBuffer(uint16_t queue) = 0;

  // Sends a configuration change notification.
  virtual void ConfigurationChange() = 0;

  // Virtqueue reset (virtio 1.4 §2.6.1): forgets which vector `queue` had
  // mapped. Its worker has stopped. `queue` is one of the device's.
  virtual void ResetQueue(uint16_t queue) = 0;

  // Device reset: forgets causes that the driver has not acknowledged, and
  // which vectors it had mapped.
  virtual void Reset() = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DRIVER_NOTIFIER_H_
