#include "vmm/machine/vhost_user_card.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "vmm/config/mac_address.h"
#include "vmm/machine/net_card.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> MakeVhostUserCard(
    const NetConfig& config, const std::string& name, NetResources resources,
    LogSink& log) {
  vhost_user::FrontEndNet::Options card;
  ANNULUS_ASSIGN_OR_RETURN(card.mac, NetMacOf(config, name, log));
  card.mtu = static_cast<uint16_t>(config.mtu);
  card.may_offer = NetFeaturesOf(config);
  vhost_user::FrontEndOptions options;
  options.name = name;
  options.path = config.vhost_user;
  options.connection = std::move(resources.socket);
  options.queue_size = static_cast<uint16_t>(config.queue_size);
  absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> device =
      vhost_user::FrontEndDevice::Create(
          std::move(options), std::make_unique<vhost_user::FrontEndNet>(card),
          log);
  if (device.ok()) return device;
  return absl::Status(device.status().code(),
                      absl::StrCat(name, ": ", config.vhost_user, ": ",
                                   device.status().message()));
}

}  // namespace annulus
