#ifndef VMM_MACHINE_NET_CARD_H_
#define VMM_MACHINE_NET_CARD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "vmm/config/mac_address.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"

namespace annulus {

// What a NetDevice is made of.
struct NetCard {
  virtio::NetOptions options;
  std::unique_ptr<virtio::NetBackend> backend;
};

// What a card is called.
struct CardName {
  std::string name = "net0";     // Of threads and in log lines.
  std::string field = "net[0]";  // Of the configuration.
};

// What a card of `config` may offer.
virtio::FeatureSet NetFeaturesOf(const NetConfig& config);

// The card's address: where `config` has none, a random one, which `log` is
// told of.
absl::StatusOr<MacBytes> NetMacOf(const NetConfig& config,
                                  const std::string& name, LogSink& log);

// The card that `config` describes, with what OpenNetResources() opened for it.
// A card without an address gets a random one, which `log` is told of.
//
// REQUIRES: `config` is valid.
// Errors: begin with the field ("net[0].tap: ") where a resource is not what
//   it should be.
absl::StatusOr<NetCard> MakeNetCard(const NetConfig& config,
                                    const CardName& name,
                                    NetResources resources, LogSink& log);

}  // namespace annulus

#endif  // VMM_MACHINE_NET_CARD_H_
