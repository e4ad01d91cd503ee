#include "vmm/machine/vhost_user_card.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/virtio/spec/features.h"
#include "vmm/config/mac_address.h"
#include "vmm/machine/vsock_card.h"

namespace annulus {
namespace {

absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> Make(
    const CardName& name, const VhostUserConfig& config, uint32_t queue_size,
    std::unique_ptr<vhost_user::FrontEndType> type,
    VhostUserResources resources, LogSink& log) {
  vhost_user::FrontEndOptions options;
  options.name = name.name;
  if (!config.listen) options.path = config.socket;
  options.listener = std::move(resources.listener);
  options.listener_file = std::move(resources.listener_file);
  options.connection = std::move(resources.connection);
  options.queue_size = static_cast<uint16_t>(queue_size);
  absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> device =
      vhost_user::FrontEndDevice::Create(std::move(options), std::move(type),
                                         log);
  if (device.ok()) return device;
  return absl::Status(device.status().code(),
                      absl::StrCat(name.field, ".vhost_user: ",
                                   config.socket.empty()
                                       ? absl::StrCat("descriptor ", config.fd)
                                       : config.socket,
                                   ": ", device.status().message()));
}

virtio::FeatureSet RngFeaturesOf(const VirtioConfig& config) {
  virtio::FeatureSet features =
      virtio::FeatureSet::Of(virtio::kFeatureVersion1);
  if (config.packed) features.Add(virtio::kFeatureRingPacked);
  if (config.event_idx) features.Add(virtio::kFeatureEventIdx);
  if (config.indirect_desc) features.Add(virtio::kFeatureIndirectDesc);
  if (config.in_order) features.Add(virtio::kFeatureInOrder);
  return features;
}

}  // namespace

absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserNet(
    const NetConfig& config, const CardName& name, VhostUserResources resources,
    LogSink& log) {
  vhost_user::FrontEndNet::Options card;
  ANNULUS_ASSIGN_OR_RETURN(card.mac, NetMacOf(config, name.name, log));
  card.mac_given = !config.mac.empty();
  card.mtu = static_cast<uint16_t>(config.mtu);
  card.may_offer = NetFeaturesOf(config);
  return Make(name, config.vhost_user, config.queue_size,
              std::make_unique<vhost_user::FrontEndNet>(card),
              std::move(resources), log);
}

absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserVsock(
    const VsockConfig& config, VhostUserResources resources, LogSink& log) {
  return Make({.name = "vsock0", .field = "vsock"}, config.vhost_user,
              config.queue_size,
              std::make_unique<vhost_user::FrontEndVsock>(
                  config.cid, VsockFeaturesOf(config)),
              std::move(resources), log);
}

absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserRng(
    const RngConfig& config, const CardName& name, VhostUserResources resources,
    LogSink& log) {
  constexpr uint32_t kQueueSize = 256;
  return Make(
      name, config.vhost_user, kQueueSize,
      std::make_unique<vhost_user::FrontEndRng>(RngFeaturesOf(config.virtio)),
      std::move(resources), log);
}

}  // namespace annulus
