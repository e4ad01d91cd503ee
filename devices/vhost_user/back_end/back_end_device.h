#ifndef DEVICES_VHOST_USER_BACK_END_BACK_END_DEVICE_H_
#define DEVICES_VHOST_USER_BACK_END_BACK_END_DEVICE_H_

#include <array>
#include <cstdint>

#include "devices/virtio/device.h"

namespace annulus::vhost_user {

// A device as a vhost-user back-end serves it: a VirtioDevice, and the little
// that the protocol has for some types beyond that.
//
// Threads: as VirtioDevice; the rest on the thread of the connection.
class BackEndDevice {
 public:
  virtual ~BackEndDevice() = default;

  virtual virtio::VirtioDevice& device() = 0;

  // The answer to VHOST_USER_GET_QUEUE_NUM: of a network device its queue
  // pairs, of others all queues.
  virtual uint64_t queue_num() const {
    return const_cast<BackEndDevice*>(this)->device().max_queue_sizes().size();
  }

  // Bits below 64 of features that a front-end may serve by itself, and may
  // therefore send in VHOST_USER_SET_FEATURES without having been offered them.
  virtual uint64_t own_features() const { return 0; }

  // What the device is to know of the features that were negotiated: without
  // those that the front-end serves.
  virtual uint64_t DeviceFeatures(uint64_t features) const { return features; }

  // Protocol features that are the type's own: NET_MTU, RARP.
  virtual uint64_t protocol_features() const { return 0; }

  // VHOST_USER_NET_SET_MTU and VHOST_USER_SEND_RARP; false where that is not
  // possible.
  virtual bool SetMtu(uint64_t /*mtu*/) { return false; }
  virtual bool SendRarp(const std::array<uint8_t, 6>& /*mac*/) { return false; }

  // The front-end is gone: what it set by such requests goes with it, since a
  // device reset is no reason to forget it.
  virtual void ForgetFrontEnd() {}
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_BACK_END_DEVICE_H_
