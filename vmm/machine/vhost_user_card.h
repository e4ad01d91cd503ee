#ifndef VMM_MACHINE_VHOST_USER_CARD_H_
#define VMM_MACHINE_VHOST_USER_CARD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"

namespace annulus {

// The network card that another process serves, on the connection that
// OpenNetResources() made; whenever that process has gone, it is looked for at
// the path of `config` again, which a sandbox that opens nothing has to let
// pass. REQUIRES: `config` is valid and of Backend::kVhostUser.
absl::StatusOr<std::unique_ptr<virtio::VirtioDevice>> MakeVhostUserCard(
    const NetConfig& config, const std::string& name, NetResources resources,
    LogSink& log);

}  // namespace annulus

#endif  // VMM_MACHINE_VHOST_USER_CARD_H_
