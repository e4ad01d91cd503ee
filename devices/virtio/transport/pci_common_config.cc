#include "devices/virtio/transport/pci_common_config.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/register_bytes.h"

namespace annulus::virtio {
namespace {

enum Field : uint64_t {
  kDeviceFeatureSelect = offsetof(PciCommonCfg, device_feature_select),
  kDeviceFeature = offsetof(PciCommonCfg, device_feature),
  kDriverFeatureSelect = offsetof(PciCommonCfg, driver_feature_select),
  kDriverFeature = offsetof(PciCommonCfg, driver_feature),
  kConfigMsixVector = offsetof(PciCommonCfg, config_msix_vector),
  kNumQueues = offsetof(PciCommonCfg, num_queues),
  kDeviceStatus = offsetof(PciCommonCfg, device_status),
  kConfigGeneration = offsetof(PciCommonCfg, config_generation),
  kQueueSelect = offsetof(PciCommonCfg, queue_select),
  kQueueSize = offsetof(PciCommonCfg, queue_size),
  kQueueMsixVector = offsetof(PciCommonCfg, queue_msix_vector),
  kQueueEnable = offsetof(PciCommonCfg, queue_enable),
  kQueueNotifyOff = offsetof(PciCommonCfg, queue_notify_off),
  kQueueDesc = offsetof(PciCommonCfg, queue_desc),
  kQueueDriver = offsetof(PciCommonCfg, queue_driver),
  kQueueDevice = offsetof(PciCommonCfg, queue_device),
  kQueueNotifConfigData = offsetof(PciCommonCfg, queue_notif_config_data),
  kQueueReset = offsetof(PciCommonCfg, queue_reset),
};

// Bytes of the field that starts at `offset`, 0 if none does.
size_t FieldWidth(uint64_t offset) {
  if (offset == kDeviceStatus || offset == kConfigGeneration) return 1;
  if (offset < kConfigMsixVector ||
      (offset >= kQueueDesc && offset < kQueueNotifConfigData)) {
    return offset % 4 == 0 ? 4 : 0;
  }
  return offset < sizeof(PciCommonCfg) && offset % 2 == 0 ? 2 : 0;
}

struct AddressField {
  QueueArea area;
  AddressHalf half;
};

// REQUIRES: `offset` is that of one half of an address.
AddressField AddressAt(uint64_t offset) {
  const uint64_t index = (offset - kQueueDesc) / 4;
  return {static_cast<QueueArea>(index / 2),
          index % 2 == 0 ? AddressHalf::kLow : AddressHalf::kHigh};
}

}  // namespace

void PciCommonConfig::Read(uint64_t offset, absl::Span<uint8_t> data) const {
  const bool proper = !data.empty() && data.size() == FieldWidth(offset);
  StoreRegister(proper ? ReadField(offset) : 0, data);
}

void PciCommonConfig::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (data.empty() || data.size() != FieldWidth(offset)) return;
  WriteField(offset, LoadRegister(data));
}

uint32_t PciCommonConfig::ReadField(uint64_t offset) const {
  if (offset >= kQueueDesc && offset < kQueueNotifConfigData) {
    const AddressField field = AddressAt(offset);
    return state_.QueueAddress(field.area, field.half);
  }
  switch (offset) {
    case kDeviceFeatureSelect:
      return state_.device_feature_select();
    case kDeviceFeature:
      return state_.DeviceFeatures();
    case kDriverFeatureSelect:
      return state_.driver_feature_select();
    case kDriverFeature:
      return state_.DriverFeatures();
    case kConfigMsixVector:
      return interrupts_.config_vector();
    case kNumQueues:
      return state_.queue_count();
    case kDeviceStatus:
      return state_.status();
    case kConfigGeneration:
      return state_.config().Generation();
    case kQueueSelect:
      return state_.queue_select();
    case kQueueSize:
      return state_.QueueSize();
    case kQueueMsixVector: {
      const std::optional<uint16_t> queue = state_.SelectedQueue();
      return queue.has_value() ? interrupts_.queue_vector(*queue)
                               : kMsiNoVector;
    }
    case kQueueEnable:
      return state_.QueueEnabled() ? 1 : 0;
    case kQueueNotifyOff:
      return state_.SelectedQueue().value_or(0);
    case kQueueReset:
      return state_.QueueReset();
    default:  // Fields of features that are not offered.
      return 0;
  }
}

void PciCommonConfig::WriteField(uint64_t offset, uint32_t value) {
  if (offset >= kQueueDesc && offset < kQueueNotifConfigData) {
    const AddressField field = AddressAt(offset);
    return state_.WriteQueueAddress(field.area, field.half, value);
  }
  switch (offset) {
    case kDeviceFeatureSelect:
      return state_.SelectDeviceFeatures(value);
    case kDriverFeatureSelect:
      return state_.SelectDriverFeatures(value);
    case kDriverFeature:
      return state_.WriteDriverFeatures(value);
    case kConfigMsixVector:
      return interrupts_.set_config_vector(static_cast<uint16_t>(value));
    case kDeviceStatus:
      return state_.WriteStatus(value);
    case kQueueSelect:
      return state_.SelectQueue(value);
    case kQueueSize:
      return state_.WriteQueueSize(value);
    case kQueueMsixVector: {
      const std::optional<uint16_t> queue = state_.SelectedQueue();
      if (!queue.has_value()) return;
      return interrupts_.set_queue_vector(*queue, static_cast<uint16_t>(value));
    }
    case kQueueEnable:
      // "The driver MUST NOT write a 0 to queue_enable": ignored.
      if (value == 1) state_.EnableQueue();
      return;
    case kQueueReset:
      // Only this value is defined.
      if (value == 1) state_.ResetQueue();
      return;
    default:  // Read-only, or of a feature that is not offered.
      return;
  }
}

}  // namespace annulus::virtio
