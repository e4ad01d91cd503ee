#ifndef TESTS_GUEST_VIRTIO_DEVICE_H_
#define TESTS_GUEST_VIRTIO_DEVICE_H_

#include <cstdint>

#include "tests/guest/virtio_transport.h"

// The order of virtio 1.4 §3.1.1 "Driver Requirements: Device Initialization".

namespace guest {

// Writes 0 to the status and waits until it reads so.
void ResetVirtioDevice(VirtioTransport& transport);

// Reset, ACKNOWLEDGE, DRIVER, the features in `wanted` of those offered,
// FEATURES_OK. Returns what was agreed on. `wanted` and the result hold feature
// bits 0 to 63.
uint64_t NegotiateFeatures(VirtioTransport& transport, uint64_t wanted);

inline constexpr uint64_t FeatureBit(uint32_t bit) {
  return uint64_t{1} << bit;
}

}  // namespace guest

#endif  // TESTS_GUEST_VIRTIO_DEVICE_H_
