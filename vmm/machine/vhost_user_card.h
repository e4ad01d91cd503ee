#ifndef VMM_MACHINE_VHOST_USER_CARD_H_
#define VMM_MACHINE_VHOST_USER_CARD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "vmm/config/vm_config.h"
#include "vmm/machine/net_card.h"
#include "vmm/vhost_user_resources.h"

namespace annulus {

// Devices that another process serves, by what OpenVhostUser() opened; whenever
// that process has gone, it is looked for at the path of `config` again, which
// a sandbox that opens nothing has to let pass, or awaited at the listener.
// REQUIRES: `config` is valid, and its vhost_user is given. Errors begin with
// the field ("net[0].vhost_user: ").
absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserNet(
    const NetConfig& config, const CardName& name, VhostUserResources resources,
    LogSink& log);
absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserVsock(
    const VsockConfig& config, VhostUserResources resources, LogSink& log);
absl::StatusOr<std::unique_ptr<vhost_user::FrontEndDevice>> MakeVhostUserRng(
    const RngConfig& config, const CardName& name, VhostUserResources resources,
    LogSink& log);

}  // namespace annulus

#endif  // VMM_MACHINE_VHOST_USER_CARD_H_
