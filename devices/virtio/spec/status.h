#ifndef DEVICES_VIRTIO_SPEC_STATUS_H_
#define DEVICES_VIRTIO_SPEC_STATUS_H_

#include <cstdint>

namespace annulus::virtio {

// Bits of the device status field, virtio 1.4 §2.1 "Device Status Field".
inline constexpr uint8_t kStatusAcknowledge = 1;        // ACKNOWLEDGE
inline constexpr uint8_t kStatusDriver = 2;             // DRIVER
inline constexpr uint8_t kStatusDriverOk = 4;           // DRIVER_OK
inline constexpr uint8_t kStatusFeaturesOk = 8;         // FEATURES_OK
inline constexpr uint8_t kStatusSuspend = 16;           // SUSPEND
inline constexpr uint8_t kStatusDeviceNeedsReset = 64;  // DEVICE_NEEDS_RESET
inline constexpr uint8_t kStatusFailed = 128;           // FAILED

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_STATUS_H_
