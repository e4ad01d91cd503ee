#ifndef DEVICES_VIRTIO_SPEC_PCI_CAPABILITY_H_
#define DEVICES_VIRTIO_SPEC_PCI_CAPABILITY_H_

#include <cstddef>
#include <cstdint>

#include "memory/little_endian.h"

// virtio 1.4 §4.1 "Virtio Over PCI Bus": identities, capabilities and the
// common configuration structure.

namespace annulus::virtio {

// §4.1.2 "PCI Device Discovery".
inline constexpr uint16_t kPciVendorId = 0x1af4;
inline constexpr uint16_t kPciDeviceIdBase = 0x1040;  // + virtio device id
inline constexpr uint8_t kPciRevisionId = 1;          // Non-transitional.

// cfg_type, §4.1.4 "Virtio Structure PCI Capabilities".
inline constexpr uint8_t kPciCapCommonCfg = 1;  // VIRTIO_PCI_CAP_COMMON_CFG
inline constexpr uint8_t kPciCapNotifyCfg = 2;  // VIRTIO_PCI_CAP_NOTIFY_CFG
inline constexpr uint8_t kPciCapIsrCfg = 3;     // VIRTIO_PCI_CAP_ISR_CFG
inline constexpr uint8_t kPciCapDeviceCfg = 4;  // VIRTIO_PCI_CAP_DEVICE_CFG
inline constexpr uint8_t kPciCapPciCfg = 5;     // VIRTIO_PCI_CAP_PCI_CFG

// struct virtio_pci_cap
struct PciCap {
  uint8_t cap_vndr = 0x09;
  uint8_t cap_next = 0;
  uint8_t cap_len = 0;
  uint8_t cfg_type = 0;
  uint8_t bar = 0;
  uint8_t id = 0;
  uint8_t padding[2] = {};
  memory::Le32 offset;
  memory::Le32 length;
};
static_assert(sizeof(PciCap) == 16);

// struct virtio_pci_notify_cap, §4.1.4.4 "Notification structure layout"
struct PciNotifyCap {
  PciCap cap;
  memory::Le32 notify_off_multiplier;
};
static_assert(sizeof(PciNotifyCap) == 20);

// struct virtio_pci_cfg_cap, §4.1.4.9 "PCI configuration access capability"
struct PciCfgCap {
  PciCap cap;
  uint8_t pci_cfg_data[4] = {};
};
static_assert(sizeof(PciCfgCap) == 20);

// struct virtio_pci_common_cfg, §4.1.4.3 "Common configuration structure
// layout". Only the offsets are used: each field is a register.
struct PciCommonCfg {
  memory::Le32 device_feature_select;
  memory::Le32 device_feature;
  memory::Le32 driver_feature_select;
  memory::Le32 driver_feature;
  memory::Le16 config_msix_vector;
  memory::Le16 num_queues;
  uint8_t device_status;
  uint8_t config_generation;
  memory::Le16 queue_select;
  memory::Le16 queue_size;
  memory::Le16 queue_msix_vector;
  memory::Le16 queue_enable;
  memory::Le16 queue_notify_off;
  memory::Le64 queue_desc;
  memory::Le64 queue_driver;
  memory::Le64 queue_device;
  memory::Le16 queue_notif_config_data;
  memory::Le16 queue_reset;
  memory::Le16 admin_queue_index;
  memory::Le16 admin_queue_num;
};
static_assert(offsetof(PciCommonCfg, queue_desc) == 0x20);
static_assert(sizeof(PciCommonCfg) == 0x40);

// §4.1.5.1.2 "MSI-X Vector Configuration": no vector is mapped.
inline constexpr uint16_t kMsiNoVector = 0xffff;  // VIRTIO_MSI_NO_VECTOR

// §4.1.4.5 "ISR status capability".
inline constexpr uint8_t kPciIsrQueue = 1;
inline constexpr uint8_t kPciIsrDeviceConfiguration = 2;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_PCI_CAPABILITY_H_
