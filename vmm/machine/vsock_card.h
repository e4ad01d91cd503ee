#ifndef VMM_MACHINE_VSOCK_CARD_H_
#define VMM_MACHINE_VSOCK_CARD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "vmm/config/vm_config.h"
#include "vmm/vsock_resources.h"

namespace annulus {

// What a VsockDevice is made of.
struct VsockCard {
  virtio::VsockOptions options;
  std::unique_ptr<virtio::VsockBackend> backend;
  std::unique_ptr<virtio::SwitchPort> port;  // Null: no switch.
};

// What a device of `config` may offer; those of the transport are its own to
// offer.
virtio::FeatureSet VsockFeaturesOf(const VsockConfig& config);

// The socket device that `config` describes, with what OpenVsockResources()
// opened for it. `name` is that of its threads and in log lines; `log` outlives
// the card.
//
// REQUIRES: `config` is valid.
// Errors: begin with the field, such as "vsock.cid: " where another guest of
//   the switch has it.
absl::StatusOr<VsockCard> MakeVsockCard(const VsockConfig& config,
                                        const std::string& name,
                                        VsockResources resources, LogSink& log);

}  // namespace annulus

#endif  // VMM_MACHINE_VSOCK_CARD_H_
