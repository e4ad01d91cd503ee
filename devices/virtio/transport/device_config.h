#ifndef DEVICES_VIRTIO_TRANSPORT_DEVICE_CONFIG_H_
#define DEVICES_VIRTIO_TRANSPORT_DEVICE_CONFIG_H_

#include <atomic>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/device.h"

namespace annulus::virtio {

// Device-specific configuration with its generation, as the driver sees them
// through any transport (virtio 1.4 §2.5 "Device Configuration Space").
//
// Threads: thread-safe and lock-free, as far as the device is.
// Trust: offsets, lengths and data are guest-controlled.
// Allocation: none.
class DeviceConfig {
 public:
  // `device` must outlive the configuration.
  explicit DeviceConfig(VirtioDevice& device)
      : device_(device), seen_generation_(device.config_generation()) {}

  uint32_t size() const { return device_.config_size(); }

  // Bytes beyond the end read as 0; a write that is not wholly inside is
  // ignored.
  void Read(uint64_t offset, absl::Span<uint8_t> data);
  void Write(uint64_t offset, absl::Span<const uint8_t> data);

  // Differs from an earlier value if the driver read the configuration since
  // then and part of it had changed. Safe to truncate to 8 bits: it moves at
  // most once per read of the configuration.
  uint32_t Generation() const;

 private:
  VirtioDevice& device_;
  // The device's generation when the driver last read the configuration, and
  // how often that differed from the time before.
  std::atomic<uint32_t> seen_generation_;
  std::atomic<uint32_t> generation_{0};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DEVICE_CONFIG_H_
