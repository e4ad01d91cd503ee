#ifndef VMM_MACHINE_NET_CARD_H_
#define VMM_MACHINE_NET_CARD_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_options.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"

namespace annulus {

// What a NetDevice is made of.
struct NetCard {
  virtio::NetOptions options;
  std::unique_ptr<virtio::NetBackend> backend;
};

// The card that `config` describes, number `index` of the VM, with what
// OpenNetResources() opened for it. A card without an address gets a random
// one, which `log` is told of.
//
// REQUIRES: `config` is valid.
// Errors: begin with the field ("net[0].tap: ") where a resource is not what
//   it should be.
absl::StatusOr<NetCard> MakeNetCard(const NetConfig& config, size_t index,
                                    NetResources resources, LogSink& log);

}  // namespace annulus

#endif  // VMM_MACHINE_NET_CARD_H_
