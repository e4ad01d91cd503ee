#ifndef VMM_STANDALONE_MAKE_DEVICE_H_
#define VMM_STANDALONE_MAKE_DEVICE_H_

#include <memory>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/vhost_user/back_end/back_end_device.h"
#include "devices/virtio/worker/polling_threads.h"
#include "vmm/config/devices_config.h"
#include "vmm/machine/net_card.h"
#include "vmm/net_resources.h"
#include "vmm/vsock_resources.h"

namespace annulus {

// Makes the devices of one DevicesConfig. Cards that always poll on one CPU
// share a thread there.
//
// Threads: thread-compatible.
class DeviceMaker {
 public:
  // `log` outlives the devices.
  explicit DeviceMaker(LogSink& log) : log_(log) {}

  using Resources = std::variant<std::monostate, NetResources, VsockResources>;

  // REQUIRES: `config` is valid. Errors: begin with `name.field` where a
  // resource is not what it should be.
  absl::StatusOr<std::unique_ptr<vhost_user::BackEndDevice>> Make(
      const DeviceConfig& config, const CardName& name, Resources resources);

 private:
  LogSink& log_;
  const std::shared_ptr<virtio::PollingThreads> polling_ =
      std::make_shared<virtio::PollingThreads>("annulus");
};

}  // namespace annulus

#endif  // VMM_STANDALONE_MAKE_DEVICE_H_
