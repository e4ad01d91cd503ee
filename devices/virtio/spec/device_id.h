#ifndef DEVICES_VIRTIO_SPEC_DEVICE_ID_H_
#define DEVICES_VIRTIO_SPEC_DEVICE_ID_H_

#include <cstdint>

namespace annulus::virtio {

// Device IDs, virtio 1.4 §5 "Device Types".
inline constexpr uint32_t kDeviceIdReserved = 0;  // reserved (invalid)
inline constexpr uint32_t kDeviceIdNetwork = 1;   // network device
inline constexpr uint32_t kDeviceIdEntropy = 4;   // entropy source
inline constexpr uint32_t kDeviceIdSocket = 19;   // Socket device

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_DEVICE_ID_H_
