#include "vmm/machine/virtio_devices.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "memory/guest_address.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/validate_net_config.h"
#include "vmm/config/validate_vsock_config.h"
#include "vmm/machine/address_map.h"
#include "vmm/machine/custom_device.h"
#include "vmm/machine/net_card.h"
#include "vmm/machine/vhost_user_card.h"
#include "vmm/machine/vsock_card.h"
#include "vmm/machine/worker_policy_of.h"

namespace annulus {
namespace {

// What ValidateVmConfig() lets pass, the device can do.
static_assert(kMaxNetQueueSize == virtio::NetDevice::kMaxQueueSize);
static_assert(kMaxQueuePairs == virtio::NetDevice::kMaxQueuePairs);
static_assert(kMaxVsockQueueSize == virtio::VsockDevice::kMaxQueueSize);
static_assert(kMaxMmioDevices == kMaxVirtioMmioDevices);

}  // namespace

template <typename Device, typename... Args>
VirtioDevices::Named VirtioDevices::Know(std::string name,
                                         std::unique_ptr<Device> device,
                                         VmEventSink& events, Args... args) {
  counters_.push_back(CountersOf(name, *device, args...));
  auto tells = std::make_unique<DeviceEvents>(name, events);
  return {.name = std::move(name),
          .events = std::move(tells),
          .device = std::move(device)};
}

VirtioDevices::Named VirtioDevices::KnowExternal(
    std::string name, std::unique_ptr<vhost_user::FrontEndDevice> device,
    VmEventSink& events) {
  external_.push_back(device.get());
  return Know(std::move(name), std::move(device), events);
}

absl::StatusOr<VirtioDevices::Named> VirtioDevices::MakeRng(
    const RngConfig& config, size_t index, VhostUserResources resources,
    const VirtioSurroundings& surroundings) {
  const std::string name = absl::StrCat("rng", index);
  if (config.vhost_user.given()) {
    ANNULUS_ASSIGN_OR_RETURN(
        auto device,
        MakeVhostUserRng(
            config, {.name = name, .field = absl::StrCat("rng[", index, "]")},
            std::move(resources), surroundings.log));
    return KnowExternal(name, std::move(device), surroundings.events);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      auto device,
      virtio::RngDevice::Create({.name = name,
                                 .packed = config.virtio.packed,
                                 .event_idx = config.virtio.event_idx,
                                 .indirect_desc = config.virtio.indirect_desc,
                                 .in_order = config.virtio.in_order,
                                 .workers = WorkerPolicyOf(config)},
                                surroundings.log));
  return Know(name, std::move(device), surroundings.events);
}

absl::StatusOr<VirtioDevices::Named> VirtioDevices::MakeNet(
    const NetConfig& config, size_t index, NetResources resources,
    const VirtioSurroundings& surroundings) {
  const CardName name = {.name = absl::StrCat("net", index),
                         .field = absl::StrCat("net[", index, "]")};
  if (config.vhost_user.given()) {
    ANNULUS_ASSIGN_OR_RETURN(
        auto device,
        MakeVhostUserNet(config, name, std::move(resources.vhost_user),
                         surroundings.log));
    cards_.push_back(nullptr);
    return KnowExternal(name.name, std::move(device), surroundings.events);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      NetCard card,
      MakeNetCard(config, name, std::move(resources), surroundings.log));
  const uint16_t queue_pairs = card.options.queue_pairs;
  ANNULUS_ASSIGN_OR_RETURN(
      auto device,
      virtio::NetDevice::Create(card.options, std::move(card.backend),
                                surroundings.log));
  virtio::NetDevice& net = *device;
  cards_.push_back(&net);
  Named named =
      Know(name.name, std::move(device), surroundings.events, queue_pairs);
  net.SetLinkObserver(named.events.get());
  return named;
}

absl::StatusOr<VirtioDevices::Named> VirtioDevices::MakeVsock(
    const VsockConfig& config, VsockResources resources,
    const VirtioSurroundings& surroundings) {
  const std::string name = "vsock0";
  if (config.vhost_user.given()) {
    ANNULUS_ASSIGN_OR_RETURN(
        auto device, MakeVhostUserVsock(config, std::move(resources.vhost_user),
                                        surroundings.log));
    return KnowExternal(name, std::move(device), surroundings.events);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      VsockCard card,
      MakeVsockCard(config, name, std::move(resources), surroundings.log));
  ANNULUS_ASSIGN_OR_RETURN(
      auto device,
      virtio::VsockDevice::Create(card.options, std::move(card.backend),
                                  std::move(card.port), surroundings.log));
  return Know(name, std::move(device), surroundings.events);
}

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
        Named device,
        self->MakeRng(rng, i, std::move(resources.rng[i]), surroundings));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), rng.virtio,
                                      rng.vhost_user.given(), surroundings));
  }
  for (size_t i = 0; i < config.net.size(); ++i) {
    const NetConfig& net = config.net[i];
    ANNULUS_ASSIGN_OR_RETURN(
        Named device,
        self->MakeNet(net, i, std::move(resources.net[i]), surroundings));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), net.virtio,
                                      net.vhost_user.given(), surroundings));
  }
  if (config.vsock.has_value()) {
    const VsockConfig& vsock = *config.vsock;
    ANNULUS_ASSIGN_OR_RETURN(
        Named device,
        self->MakeVsock(vsock, *std::move(resources.vsock), surroundings));
    ANNULUS_RETURN_IF_ERROR(self->Add(std::move(device), vsock.virtio,
                                      vsock.vhost_user.given(), surroundings));
  }
  ANNULUS_RETURN_IF_ERROR(
      self->AddCustom(std::move(resources.devices), surroundings));
  return self;
}

absl::Status VirtioDevices::AddCustom(std::vector<CustomDevice> devices,
                                      const VirtioSurroundings& surroundings) {
  for (size_t i = 0; i < devices.size(); ++i) {
    CustomDevice& custom = devices[i];
    const auto at = [&](const absl::Status& status) {
      if (status.ok()) return status;
      return absl::Status(status.code(),
                          absl::StrCat("devices[", i, "]: ", status.message()));
    };
    ANNULUS_RETURN_IF_ERROR(at(CheckCustomDevice(custom)));
    // What it counts itself, nobody here knows.
    auto events =
        std::make_unique<DeviceEvents>(custom.name, surroundings.events);
    ANNULUS_RETURN_IF_ERROR(
        at(Add({.name = custom.name,
                .events = std::move(events),
                .device = std::move(custom.device)},
               custom.virtio, /*external=*/false, surroundings)));
  }
  return absl::OkStatus();
}

absl::Status VirtioDevices::Add(Named device, const VirtioConfig& config,
                                bool external,
                                const VirtioSurroundings& surroundings) {
  const virtio::TransportOptions options = {
      .ring_reset = config.ring_reset,
      // They may have to pass through this process, at the price of an exit for
      // each.
      .notification_data = config.notification_data && !external,
      .shared_notifications = external,
      .observer = device.events.get()};
  switch (config.transport) {
    case TransportKind::kMmio:
      return AddMmio(std::move(device), options, surroundings);
    case TransportKind::kPci:
      return AddPci(std::move(device), options, surroundings);
  }
  return absl::InvalidArgumentError("a virtio device of unknown transport");
}

absl::Status VirtioDevices::AddPci(Named device,
                                   const virtio::TransportOptions& options,
                                   const VirtioSurroundings& surroundings) {
  const uint64_t index = pci_devices_.size();
  PciDevice added;
  added.events = std::move(device.events);
  added.device = std::move(device.device);
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

absl::Status VirtioDevices::AddMmio(Named device,
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
  added.events = std::move(device.events);
  added.device = std::move(device.device);
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

void VirtioDevices::AppendCounters(std::vector<CounterSample>& samples) const {
  for (const CounterSource& source : counters_) source(samples);
}

absl::Status VirtioDevices::SetLink(uint32_t card, bool up) const {
  if (card >= cards_.size()) {
    return absl::NotFoundError(absl::StrCat("there is no card net", card));
  }
  if (cards_[card] == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("net", card, " is served by another process"));
  }
  cards_[card]->SetLink(up);
  return absl::OkStatus();
}

}  // namespace annulus
