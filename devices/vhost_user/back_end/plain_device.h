#ifndef DEVICES_VHOST_USER_BACK_END_PLAIN_DEVICE_H_
#define DEVICES_VHOST_USER_BACK_END_PLAIN_DEVICE_H_

#include <memory>
#include <utility>

#include "devices/vhost_user/back_end/back_end_device.h"
#include "devices/virtio/device.h"

namespace annulus::vhost_user {

// A device for whose type the protocol has nothing of its own: rng, vsock.
//
// Threads: as BackEndDevice.
class PlainBackEndDevice final : public BackEndDevice {
 public:
  explicit PlainBackEndDevice(std::unique_ptr<virtio::VirtioDevice> device)
      : device_(std::move(device)) {}

  virtio::VirtioDevice& device() override { return *device_; }

 private:
  const std::unique_ptr<virtio::VirtioDevice> device_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_PLAIN_DEVICE_H_
