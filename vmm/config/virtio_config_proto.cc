#include "vmm/config/virtio_config_proto.h"

#include "absl/strings/str_cat.h"

namespace annulus {

absl::Status ReadVirtio(const proto::VirtioConfig& message,
                        VirtioConfig& virtio) {
  if (message.has_packed()) virtio.packed = message.packed();
  if (message.has_event_idx()) virtio.event_idx = message.event_idx();
  if (message.has_indirect_desc()) {
    virtio.indirect_desc = message.indirect_desc();
  }
  if (message.has_in_order()) virtio.in_order = message.in_order();
  if (message.has_ring_reset()) virtio.ring_reset = message.ring_reset();
  if (message.has_notification_data()) {
    virtio.notification_data = message.notification_data();
  }
  if (!message.has_transport()) return absl::OkStatus();
  switch (message.transport()) {
    case proto::VirtioConfig::PCI:
      virtio.transport = TransportKind::kPci;
      return absl::OkStatus();
    case proto::VirtioConfig::MMIO:
      virtio.transport = TransportKind::kMmio;
      return absl::OkStatus();
    default:  // proto3 enums are open: any number may come.
      return absl::InvalidArgumentError(absl::StrCat(
          "virtio.transport: ", static_cast<int>(message.transport()),
          " is not one of PCI, MMIO"));
  }
}

void WriteVirtio(const VirtioConfig& virtio, proto::VirtioConfig& message) {
  message.set_transport(virtio.transport == TransportKind::kPci
                            ? proto::VirtioConfig::PCI
                            : proto::VirtioConfig::MMIO);
  message.set_packed(virtio.packed);
  message.set_event_idx(virtio.event_idx);
  message.set_indirect_desc(virtio.indirect_desc);
  message.set_in_order(virtio.in_order);
  message.set_ring_reset(virtio.ring_reset);
  message.set_notification_data(virtio.notification_data);
}

}  // namespace annulus
