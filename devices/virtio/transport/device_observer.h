#ifndef DEVICES_VIRTIO_TRANSPORT_DEVICE_OBSERVER_H_
#define DEVICES_VIRTIO_TRANSPORT_DEVICE_OBSERVER_H_

#include <cstdint>

namespace annulus::virtio {

// Who is told what becomes of a device and its driver, for people to know.
//
// Threads: called on vCPU threads and queue workers, several at a time, with
//   the transport's locks held: it returns soon, and calls nothing of device or
//   transport.
// Trust: a guest causes these calls as often as it likes.
class DeviceObserver {
 public:
  virtual ~DeviceObserver() = default;

  // A driver set DRIVER_OK.
  virtual void DriverReady() = 0;
  // The device, which had a driver, was reset.
  virtual void DeviceReset() = 0;
  // A driver broke the rules of `queue`, or set it up in a way that no queue
  // can have.
  virtual void QueueBroken(uint16_t queue) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DEVICE_OBSERVER_H_
