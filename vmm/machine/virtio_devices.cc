#include "vmm/machine/virtio_devices.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "memory/guest_address.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/validate_net_config.h"
#include "vmm/config/validate_vsock_config.h"
#include "vmm/machine/address_map.h"
#include "vmm/machine/net_card.h"
#include "vmm/machine/vhost_user_card.h"
#include "vmm/machine/vsock_card.h"
#include "vmm/machine/worker_policy_of.h"

namespace annulus {
namespace {

absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> CreateRng(
    const RngConfig& config, size_t index, VhostUserResources resources,
    LogSink& log) {
  if (config.vhost_user.given()) {
    return MakeVhostUserRng(config,
                            {.name = absl::StrCat("rng", index),
                             .field = absl::StrCat("rng[", index, "]")},
                            std::move(resources), log);
  }
  return virtio::RngDevice::Create(
      {.name = absl::StrCat("rng", index),
       .packed = config.virtio.packed,
       .event_idx = config.virtio.event_idx,
       .indirect_desc = config.virtio.indirect_desc,
       .in_order = config.virtio.in_order,
       .workers = WorkerPolicyOf(config)},
      log);
}

// What ValidateVmConfig() lets pass, the device can do.
static_assert(kMaxNetQueueSize == virtio::NetDevice::kMaxQueueSize);
static_assert(kMaxQueuePairs == virtio::NetDevice::kMaxQueuePairs);
static_assert(kMaxVsockQueueSize == virtio::VsockDevice::kMaxQueueSize);
static_assert(kMaxMmioDevices == kMaxVirtioMmioDevices);

absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> CreateNet(
    const NetConfig& config, size_t index, NetResources resources,
    LogSink& log) {
  const CardName name = {.name = absl::StrCat("net", index),
                         .field = absl::StrCat("net[", index, "]")};
  if (config.vhost_user.given()) {
    return MakeVhostUserNet(config, name, std::move(resources.vhost_user), log);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      NetCard card, MakeNetCard(config, name, std::move(resources), log));
  return virtio::NetDevice::Create(card.options, std::move(card.backend), log);
}

absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> CreateVsock(
    const VsockConfig& config, VsockResources resources, LogSink& log) {
  if (config.vhost_user.given()) {
    return MakeVhostUserVsock(config, std::move(resources.vhost_user), log);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      VsockCard card,
      MakeVsockCard(config, "vsock0", std::move(resources), log));
  return virtio::VsockDevice::Create(card.options, std::move(card.backend),
                                     std::move(card.port), log);
}

}  // namespace

absl::StatusOr<std::unique_ptr<VirtioDevices>> VirtioDevices::Create(
    const VmConfig& config, VirtioResources resources,
    const VirtioSurroundings& surroundings) {
  if (resources.net.size() != config.net.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("net: ", config.net.size(), " cards are configured, but ",
                     resources.net.size(), " were opened"));
  }
  if (resources.vsock.has_value() != config.vsock.has_value()) {
    return absl::InvalidArgumentError(
        resources.vsock.has_value() ? "vsock: was opened, but is not configured"
                                    : "vsock: is configured, but was not "
                                      "opened");
  }
  resources.rng.resize(config.rng.size());
  std::unique_ptr<VirtioDevices> self(new VirtioDevices);
  for (size_t i = 0; i < config.rng.size(); ++i) {
    const RngConfig& rng = config.rng[i];
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<virtio::VirtioDevice> device,
        CreateRng(rng, i, std::move(resources.rng[i]), surroundings.log));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), rng.virtio,
                                      rng.vhost_user.given(), surroundings));
  }
  for (size_t i = 0; i < config.net.size(); ++i) {
    const NetConfig& net = config.net[i];
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<virtio::VirtioDevice> device,
        CreateNet(net, i, std::move(resources.net[i]), surroundings.log));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), net.virtio,
                                      net.vhost_user.given(), surroundings));
  }
  if (config.vsock.has_value()) {
    const VsockConfig& vsock = *config.vsock;
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<virtio::VirtioDevice> device,
        CreateVsock(vsock, *std::move(resources.vsock), surroundings.log));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), vsock.virtio,
                                      vsock.vhost_user.given(), surroundings));
  }
  return self;
}

absl::Status VirtioDevices::Add(std::unique_ptr<virtio::VirtioDevice> device,
                                const VirtioConfig& config, bool external,
                                const VirtioSurroundings& surroundings) {
  const virtio::TransportOptions options = {
      .ring_reset = config.ring_reset,
      // Notifications with data may have to pass through this process, which
      // would write to an eventfd that the other one has, and may have filled
      // up and made to block.
      .notification_data = config.notification_data && !external};
  switch (config.transport) {
    case TransportKind::kMmio:
      return AddMmio(std::move(device), options, surroundings);
    case TransportKind::kPci:
      return AddPci(std::move(device), options, surroundings);
  }
  return absl::InvalidArgumentError("a virtio device of unknown transport");
}

absl::Status VirtioDevices::AddPci(std::unique_ptr<virtio::VirtioDevice> device,
                                   const virtio::TransportOptions& options,
                                   const VirtioSurroundings& surroundings) {
  const uint64_t index = pci_devices_.size();
  PciDevice added;
  added.device = std::move(device);
  ANNULUS_ASSIGN_OR_RETURN(
      added.transport,
      virtio::PciTransport::Create(
          *added.device,
          {.memory = surroundings.memory,
           .vectors = surroundings.vectors,
           .bars = surroundings.bars,
           .notifications = surroundings.registrar},
          memory::GuestAddress(kPciWindow32.value() +
                               index * virtio::PciTransport::kBarSize),
          options));
  // Device 0 is the host bridge itself.
  ANNULUS_RETURN_IF_ERROR(surroundings.pci.AddFunction(
      static_cast<uint32_t>(index) + 1, *added.transport));
  pci_devices_.push_back(std::move(added));
  return absl::OkStatus();
}

absl::Status VirtioDevices::AddMmio(
    std::unique_ptr<virtio::VirtioDevice> device,
    const virtio::TransportOptions& options,
    const VirtioSurroundings& surroundings) {
  const uint32_t index = static_cast<uint32_t>(mmio_devices_.size());
  if (index == kMaxVirtioMmioDevices) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "more than ", kMaxVirtioMmioDevices, " devices over virtio-mmio"));
  }
  const memory::GuestAddress base(kVirtioMmio.value() +
                                  uint64_t{index} * kVirtioMmioStride);
  const uint32_t gsi = kVirtioMmioFirstGsi + index;
  MmioDevice added;
  added.device = std::move(device);
  ANNULUS_ASSIGN_OR_RETURN(added.line, IrqLine::Create(surroundings.vm, gsi));
  ANNULUS_ASSIGN_OR_RETURN(added.transport,
                           virtio::MmioTransport::Create(
                               *added.device, surroundings.memory, *added.line,
                               surroundings.registrar, base, options));
  ANNULUS_RETURN_IF_ERROR(surroundings.mmio.Add(
      base.value(), virtio::MmioTransport::kWindowSize, *added.transport));
  mmio_devices_.push_back(std::move(added));
  acpi_mmio_devices_.push_back(
      {.base = base,
       .size = static_cast<uint32_t>(virtio::MmioTransport::kWindowSize),
       .gsi = gsi});
  return absl::OkStatus();
}

}  // namespace annulus
