#include "tests/guest_user/virtio_pci_device.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/pci/config_registers.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/spec/status.h"

namespace annulus::guest_user {
namespace {

using Common = virtio::PciCommonCfg;

// A capability takes at least four of the 256 bytes.
constexpr int kMaxCapabilities = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<VirtioPciDevice>> VirtioPciDevice::Create(
    std::unique_ptr<PciFunction> function) {
  std::unique_ptr<VirtioPciDevice> device(
      new VirtioPciDevice(std::move(function)));
  ANNULUS_RETURN_IF_ERROR(device->FindCapabilities());
  return device;
}

VirtioPciDevice::~VirtioPciDevice() {
  if (common_ != nullptr) Reset();
}

// §4.1.4 "Virtio Structure PCI Capabilities": "The driver SHOULD use the first
// instance of each virtio structure type they can support."
absl::Status VirtioPciDevice::FindCapabilities() {
  uint8_t at = 0;
  ANNULUS_RETURN_IF_ERROR(
      function_->ReadConfig(pci::kConfigCapabilitiesPointer, &at, 1));
  for (int i = 0; i < kMaxCapabilities && at != 0; ++i) {
    virtio::PciNotifyCap notify;
    virtio::PciCap& cap = notify.cap;
    ANNULUS_RETURN_IF_ERROR(function_->ReadConfig(at, &notify, sizeof(notify)));
    at = cap.cap_next;
    volatile uint8_t** const structure =
        cap.cfg_type == virtio::kPciCapCommonCfg   ? &common_
        : cap.cfg_type == virtio::kPciCapNotifyCfg ? &notify_
        : cap.cfg_type == virtio::kPciCapDeviceCfg ? &device_
                                                   : nullptr;
    if (cap.cap_vndr != pci::kCapabilityVendorSpecific ||
        structure == nullptr || *structure != nullptr) {
      continue;
    }
    ANNULUS_ASSIGN_OR_RETURN(volatile uint8_t* const bar,
                             function_->MapBar(cap.bar));
    *structure = bar + cap.offset;
    if (structure == &notify_) {
      notify_multiplier_ = notify.notify_off_multiplier;
    }
  }
  if (common_ == nullptr || notify_ == nullptr || device_ == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        function_->name(), " lacks a capability of a modern virtio device"));
  }
  return absl::OkStatus();
}

template <typename T>
T VirtioPciDevice::ReadCommon(uint32_t offset) const {
  return *reinterpret_cast<const volatile T*>(common_ + offset);
}

template <typename T>
void VirtioPciDevice::WriteCommon(uint32_t offset, T value) {
  *reinterpret_cast<volatile T*>(common_ + offset) = value;
}

void VirtioPciDevice::Reset() {
  WriteCommon<uint8_t>(offsetof(Common, device_status), 0);
  // §4.1.4.3.2: "the driver MUST wait for a read of device_status to return 0".
  while (ReadCommon<uint8_t>(offsetof(Common, device_status)) != 0) {
  }
}

uint64_t VirtioPciDevice::OfferedFeatures() {
  uint64_t features = 0;
  for (uint32_t page = 0; page < 2; ++page) {
    WriteCommon<uint32_t>(offsetof(Common, device_feature_select), page);
    features |= uint64_t{ReadCommon<uint32_t>(offsetof(Common, device_feature))}
                << 32 * page;
  }
  return features;
}

absl::Status VirtioPciDevice::Negotiate(uint64_t features) {
  Reset();
  uint8_t status = virtio::kStatusAcknowledge;
  WriteCommon(offsetof(Common, device_status), status);
  status |= virtio::kStatusDriver;
  WriteCommon(offsetof(Common, device_status), status);
  if (const uint64_t missing = features & ~OfferedFeatures(); missing != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the card does not offer feature bits 0x", absl::Hex(missing),
        "; it offers 0x", absl::Hex(OfferedFeatures())));
  }
  for (uint32_t page = 0; page < 2; ++page) {
    WriteCommon<uint32_t>(offsetof(Common, driver_feature_select), page);
    WriteCommon<uint32_t>(offsetof(Common, driver_feature),
                          static_cast<uint32_t>(features >> 32 * page));
  }
  status |= virtio::kStatusFeaturesOk;
  WriteCommon(offsetof(Common, device_status), status);
  if (ReadCommon<uint8_t>(offsetof(Common, device_status)) != status) {
    return absl::FailedPreconditionError(
        absl::StrCat("the card refuses the features 0x", absl::Hex(features)));
  }
  return absl::OkStatus();
}

uint16_t VirtioPciDevice::MaxQueueSize(uint16_t queue) {
  WriteCommon(offsetof(Common, queue_select), queue);
  return ReadCommon<uint16_t>(offsetof(Common, queue_size));
}

absl::Status VirtioPciDevice::EnableQueue(uint16_t queue,
                                          const QueueAddresses& addresses) {
  if (MaxQueueSize(queue) < addresses.size) {
    return absl::FailedPreconditionError(
        absl::StrCat("queue ", queue, " of the card has less than ",
                     addresses.size, " descriptors"));
  }
  WriteCommon(offsetof(Common, queue_size), addresses.size);
  const struct {
    uint32_t offset;
    uint64_t value;
  } fields[] = {{offsetof(Common, queue_desc), addresses.descriptors},
                {offsetof(Common, queue_driver), addresses.driver},
                {offsetof(Common, queue_device), addresses.device}};
  // In halves, as §4.1.3.1 "Driver Requirements: PCI Device Layout" asks for.
  for (const auto& field : fields) {
    WriteCommon(field.offset, static_cast<uint32_t>(field.value));
    WriteCommon(field.offset + 4, static_cast<uint32_t>(field.value >> 32));
  }
  WriteCommon<uint16_t>(offsetof(Common, queue_enable), 1);
  return absl::OkStatus();
}

void VirtioPciDevice::SetDriverOk() {
  const uint8_t status = ReadCommon<uint8_t>(offsetof(Common, device_status));
  WriteCommon<uint8_t>(offsetof(Common, device_status),
                       status | virtio::kStatusDriverOk);
}

bool VirtioPciDevice::NeedsReset() {
  return (ReadCommon<uint8_t>(offsetof(Common, device_status)) &
          virtio::kStatusDeviceNeedsReset) != 0;
}

void VirtioPciDevice::Notify(uint16_t queue) {
  // §4.1.4.4 "Notification structure layout".
  WriteCommon(offsetof(Common, queue_select), queue);
  const uint32_t offset =
      ReadCommon<uint16_t>(offsetof(Common, queue_notify_off)) *
      notify_multiplier_;
  *reinterpret_cast<volatile uint16_t*>(notify_ + offset) = queue;
}

}  // namespace annulus::guest_user
