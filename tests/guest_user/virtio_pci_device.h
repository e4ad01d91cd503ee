#ifndef TESTS_GUEST_USER_VIRTIO_PCI_DEVICE_H_
#define TESTS_GUEST_USER_VIRTIO_PCI_DEVICE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/guest_user/pci_function.h"

namespace annulus::guest_user {

// What a virtqueue tells its device.
struct QueueAddresses {
  uint16_t size = 0;
  uint64_t descriptors = 0;  // Guest-physical, as the others.
  uint64_t driver = 0;
  uint64_t device = 0;
};

// A virtio device over PCI, modern interface (virtio 1.4 §4.1 "Virtio Over PCI
// Bus"), driven from user space, without interrupts.
//
// Threads: thread-compatible.
class VirtioPciDevice {
 public:
  // Finds the capabilities of a function that is a virtio device and maps what
  // they name.
  static absl::StatusOr<std::unique_ptr<VirtioPciDevice>> Create(
      std::unique_ptr<PciFunction> function);

  // Resets the device, so that it forgets all addresses.
  ~VirtioPciDevice();

  // §3.1.1 "Driver Requirements: Device Initialization", to FEATURES_OK: the
  // `features` (bits 0 to 63), all of which it must offer.
  absl::Status Negotiate(uint64_t features);
  uint64_t OfferedFeatures();

  uint16_t MaxQueueSize(uint16_t queue);
  absl::Status EnableQueue(uint16_t queue, const QueueAddresses& addresses);
  void SetDriverOk();
  void Notify(uint16_t queue);
  bool NeedsReset();
  void Reset();

  // Of the device-specific configuration.
  uint8_t ReadDeviceConfig(uint32_t offset) { return device_[offset]; }

 private:
  explicit VirtioPciDevice(std::unique_ptr<PciFunction> function)
      : function_(std::move(function)) {}

  absl::Status FindCapabilities();

  template <typename T>
  T ReadCommon(uint32_t offset) const;
  template <typename T>
  void WriteCommon(uint32_t offset, T value);

  const std::unique_ptr<PciFunction> function_;
  volatile uint8_t* common_ = nullptr;
  volatile uint8_t* notify_ = nullptr;
  volatile uint8_t* device_ = nullptr;
  uint32_t notify_multiplier_ = 0;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VIRTIO_PCI_DEVICE_H_
