#ifndef DEVICES_VHOST_USER_BACK_END_NET_BACK_END_DEVICE_H_
#define DEVICES_VHOST_USER_BACK_END_NET_BACK_END_DEVICE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "devices/vhost_user/back_end/back_end_device.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net/net_device.h"

namespace annulus::vhost_user {

// A network device, whose control queue usually is the front-end's: its options
// have front_end_controls.
//
// Threads: as BackEndDevice.
class NetBackEndDevice final : public BackEndDevice {
 public:
  explicit NetBackEndDevice(std::unique_ptr<virtio::NetDevice> device)
      : device_(std::move(device)) {}

  virtio::VirtioDevice& device() override { return *device_; }
  uint64_t queue_num() const override {
    return device_->max_queue_sizes().size() / 2;
  }
  uint64_t own_features() const override;
  uint64_t DeviceFeatures(uint64_t features) const override;
  uint64_t protocol_features() const override {
    return Bit(ProtocolFeature::kNetMtu) | Bit(ProtocolFeature::kRarp);
  }
  bool SetMtu(uint64_t mtu) override {
    return mtu <= UINT16_MAX && device_->SetMtu(static_cast<uint16_t>(mtu));
  }
  bool SendRarp(const std::array<uint8_t, 6>& mac) override {
    return device_->SendRarp(mac);
  }
  void ForgetFrontEnd() override { device_->ForgetMtu(); }

 private:
  const std::unique_ptr<virtio::NetDevice> device_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_NET_BACK_END_DEVICE_H_
