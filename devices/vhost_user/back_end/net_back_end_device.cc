#include "devices/vhost_user/back_end/net_back_end_device.h"

#include <initializer_list>

#include "devices/virtio/spec/net.h"

namespace annulus::vhost_user {
namespace {

constexpr uint64_t BitsOf(std::initializer_list<uint32_t> numbers) {
  uint64_t bits = 0;
  for (const uint32_t number : numbers) bits |= uint64_t{1} << number;
  return bits;
}

// What is of no use without a control queue.
constexpr uint64_t kOfControlQueue = BitsOf(
    {virtio::kNetCtrlRx, virtio::kNetCtrlVlan, virtio::kNetCtrlRxExtra,
     virtio::kNetGuestAnnounce, virtio::kNetMq, virtio::kNetCtrlMacAddr});

}  // namespace

// What a driver asks of the control queue and of the configuration space, which
// QEMU and DPDK's virtio-user answer by themselves.
uint64_t NetBackEndDevice::own_features() const {
  return kOfControlQueue |
         BitsOf({virtio::kNetMac, virtio::kNetStatus, virtio::kNetCtrlVq});
}

// DPDK's virtio-user keeps CTRL_VQ to itself, but not all that depends on it.
uint64_t NetBackEndDevice::DeviceFeatures(uint64_t features) const {
  const bool control = (features >> virtio::kNetCtrlVq & 1) != 0;
  return control ? features : features & ~kOfControlQueue;
}

}  // namespace annulus::vhost_user
