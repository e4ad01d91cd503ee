#ifndef DEVICES_VHOST_USER_FRONT_END_BACK_END_OFFER_H_
#define DEVICES_VHOST_USER_FRONT_END_BACK_END_OFFER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/vhost_user/front_end/back_end_channel.h"
#include "devices/vhost_user/wire/protocol.h"

namespace annulus::vhost_user {

// What a back-end says that it can do.
//
// Trust: untrusted numbers.
struct BackEndOffer {
  uint64_t features = 0;  // Without the bits of vhost itself.
  // Those of ours that the back-end knows, too: they are in use.
  uint64_t protocol_features = 0;
  uint64_t queue_num = 0;       // 0: it does not say.
  std::vector<uint8_t> config;  // Empty: it keeps none.

  bool Has(ProtocolFeature feature) const {
    return (protocol_features & Bit(feature)) != 0;
  }
};

// The first requests on a connection, up to what does not depend on the guest.
// `config_bytes` of the configuration space are asked for; 0: the device has
// none. Fails as the channel does, and with Unimplemented where the back-end
// lacks what a front-end needs.
absl::StatusOr<BackEndOffer> Negotiate(BackEndChannel& channel,
                                       uint32_t config_bytes);

// VHOST_USER_GET_CONFIG. REQUIRES: ProtocolFeature::kConfig is in use, and
// `config_bytes` is at most kMaxConfigBytes.
absl::StatusOr<std::vector<uint8_t>> GetConfig(BackEndChannel& channel,
                                               uint32_t config_bytes);

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_FRONT_END_BACK_END_OFFER_H_
