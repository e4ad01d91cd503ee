#include "vmm/machine/custom_device.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "vmm/config/validate_config.h"

namespace annulus {
namespace {

// A PCI Device ID has room for no more (virtio 1.4 §4.1.2 "PCI Device
// Discovery"): 0x1040 plus the type is at most 0x107f.
constexpr uint32_t kMaxDeviceId = 0x3f;

// "Queue Size" of either format of rings is at most that, and 0 would be a
// queue that does not exist.
constexpr uint16_t kMaxQueueSize = 32768;

}  // namespace

absl::Status CheckCustomDevice(const CustomDevice& custom) {
  if (custom.device == nullptr) {
    return absl::InvalidArgumentError("there is no device");
  }
  if (custom.name.empty() || custom.name.size() > kMaxNameLength) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: has ", custom.name.size(), " characters, not 1 to ",
                     kMaxNameLength));
  }
  const virtio::VirtioDevice& device = *custom.device;
  const uint32_t id = device.device_id();
  if (id == 0 || id > kMaxDeviceId) {
    return absl::InvalidArgumentError(absl::StrCat(
        "virtio device type ", id, " is not in 1..", kMaxDeviceId));
  }
  if (!device.offered_features().Has(virtio::kFeatureVersion1)) {
    return absl::InvalidArgumentError(
        "does not offer VIRTIO_F_VERSION_1, so no driver could use it");
  }
  const absl::Span<const uint16_t> sizes = device.max_queue_sizes();
  for (size_t queue = 0; queue < sizes.size(); ++queue) {
    const uint16_t size = sizes[queue];
    if (size == 0 || size > kMaxQueueSize || (size & (size - 1)) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("queue ", queue, ": the greatest size, ", size,
                       ", is no power of two up to ", kMaxQueueSize));
    }
  }
  return absl::OkStatus();
}

}  // namespace annulus
