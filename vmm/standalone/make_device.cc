#include "vmm/standalone/make_device.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/vhost_user/back_end/plain_device.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "memory/guarded_mapping.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/config/validate_net_config.h"
#include "vmm/config/validate_vsock_config.h"
#include "vmm/machine/vsock_card.h"
#include "vmm/machine/worker_policy_of.h"

namespace annulus {
namespace {

using DeviceOr = absl::StatusOr<std::unique_ptr<vhost_user::BackEndDevice>>;

// What ValidateDevicesConfig() lets pass, the device can do.
static_assert(kMaxNetQueueSize == virtio::NetDevice::kMaxQueueSize);
static_assert(kMaxQueuePairs == virtio::NetDevice::kMaxQueuePairs);
static_assert(kMaxVsockQueueSize == virtio::VsockDevice::kMaxQueueSize);
// And no front-end can take the mappings of another device.
static_assert(kMaxDevices <= memory::GuardedMapping::kOwners);

DeviceOr MakeNet(const NetConfig& config, const CardName& name,
                 NetResources resources,
                 std::shared_ptr<virtio::PollingThreads> polling,
                 LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(
      NetCard card,
      MakeNetCard(config, {.name = name.name, .field = name.field + ".net"},
                  std::move(resources), log));
  // QEMU and DPDK keep the control queue to themselves.
  card.options.front_end_controls = true;
  // How large queues are is the front-end's to say, as far as they can be.
  card.options.queue_size = virtio::NetDevice::kMaxQueueSize;
  card.options.polling = std::move(polling);
  ANNULUS_ASSIGN_OR_RETURN(
      std::unique_ptr<virtio::NetDevice> device,
      virtio::NetDevice::Create(card.options, std::move(card.backend), log));
  return std::make_unique<vhost_user::NetBackEndDevice>(std::move(device));
}

DeviceOr MakeVsock(const VsockConfig& config, const CardName& name,
                   VsockResources resources, LogSink& log) {
  absl::StatusOr<VsockCard> card =
      MakeVsockCard(config, name.name, std::move(resources), log);
  if (!card.ok()) {  // Begins with "vsock".
    return absl::Status(card.status().code(),
                        absl::StrCat(name.field, ".", card.status().message()));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      std::unique_ptr<virtio::VirtioDevice> device,
      virtio::VsockDevice::Create(card->options, std::move(card->backend),
                                  std::move(card->port), log));
  return std::make_unique<vhost_user::PlainBackEndDevice>(std::move(device));
}

DeviceOr MakeRng(const RngConfig& config, const CardName& name, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(
      std::unique_ptr<virtio::VirtioDevice> device,
      virtio::RngDevice::Create({.name = name.name,
                                 .packed = config.virtio.packed,
                                 .event_idx = config.virtio.event_idx,
                                 .indirect_desc = config.virtio.indirect_desc,
                                 .in_order = config.virtio.in_order},
                                log));
  return std::make_unique<vhost_user::PlainBackEndDevice>(std::move(device));
}

}  // namespace

DeviceOr DeviceMaker::Make(const DeviceConfig& config, const CardName& name,
                           Resources resources) {
  if (const auto* rng = std::get_if<RngConfig>(&config.kind)) {
    return MakeRng(*rng, name, log_);
  }
  const auto* net = std::get_if<NetConfig>(&config.kind);
  if (auto* opened = std::get_if<NetResources>(&resources);
      net != nullptr && opened != nullptr) {
    return MakeNet(*net, name, std::move(*opened), polling_, log_);
  }
  const auto* vsock = std::get_if<VsockConfig>(&config.kind);
  if (auto* opened = std::get_if<VsockResources>(&resources);
      vsock != nullptr && opened != nullptr) {
    return MakeVsock(*vsock, name, std::move(*opened), log_);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name.field, ": what was opened is of another kind"));
}

}  // namespace annulus
