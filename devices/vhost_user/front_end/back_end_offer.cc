#include "devices/vhost_user/front_end/back_end_offer.h"

#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/features.h"

namespace annulus::vhost_user {
namespace {

constexpr uint64_t kVhostBits =
    uint64_t{1} << kFeatureLogAll | uint64_t{1} << kFeatureProtocolFeatures;

// What this front-end makes use of.
constexpr uint64_t kProtocolFeatures =
    Bit(ProtocolFeature::kMq) | Bit(ProtocolFeature::kReplyAck) |
    Bit(ProtocolFeature::kBackendReq) | Bit(ProtocolFeature::kConfig) |
    Bit(ProtocolFeature::kInflightShmfd) | Bit(ProtocolFeature::kResetDevice);

}  // namespace

absl::StatusOr<BackEndOffer> Negotiate(BackEndChannel& channel,
                                       uint32_t config_bytes) {
  BackEndOffer offer;
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t features,
                           channel.Get(Request::kGetFeatures));
  if ((features >> kFeatureProtocolFeatures & 1) == 0) {
    return absl::UnimplementedError("the back-end has no protocol features");
  }
  if ((features >> virtio::kFeatureVersion1 & 1) == 0) {
    return absl::UnimplementedError("the back-end has no VIRTIO_F_VERSION_1");
  }
  offer.features = features & ~kVhostBits;
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t protocol_features,
                           channel.Get(Request::kGetProtocolFeatures));
  offer.protocol_features = protocol_features & kProtocolFeatures;
  if (config_bytes == 0) {
    offer.protocol_features &= ~Bit(ProtocolFeature::kConfig);
  }
  if (!offer.Has(ProtocolFeature::kConfig)) {  // All that it would bring us.
    offer.protocol_features &= ~Bit(ProtocolFeature::kBackendReq);
  }
  ANNULUS_RETURN_IF_ERROR(
      channel.Set(Request::kSetProtocolFeatures, offer.protocol_features));
  if (offer.Has(ProtocolFeature::kReplyAck)) channel.set_acknowledged();
  Message owner;
  owner.request = static_cast<uint32_t>(Request::kSetOwner);
  ANNULUS_RETURN_IF_ERROR(channel.Tell(std::move(owner)));
  if (offer.Has(ProtocolFeature::kMq)) {
    ANNULUS_ASSIGN_OR_RETURN(offer.queue_num,
                             channel.Get(Request::kGetQueueNum));
  }
  if (offer.Has(ProtocolFeature::kConfig)) {
    ANNULUS_ASSIGN_OR_RETURN(offer.config, GetConfig(channel, config_bytes));
  }
  return offer;
}

absl::StatusOr<std::vector<uint8_t>> GetConfig(BackEndChannel& channel,
                                               uint32_t config_bytes) {
  ANNULUS_CHECK(config_bytes <= kMaxConfigBytes);
  const ConfigDescription wanted = {.size = config_bytes};
  Message request =
      MakeMessage(static_cast<uint32_t>(Request::kGetConfig), 0, wanted);
  request.size += config_bytes;
  ANNULUS_ASSIGN_OR_RETURN(const Message reply, channel.Exchange(request));
  if (reply.size != request.size || !reply.fds.empty() ||
      std::memcmp(reply.payload.data(), &wanted, 2 * sizeof(uint32_t)) != 0) {
    return absl::InvalidArgumentError(
        "the back-end's configuration space is not as was asked for");
  }
  const uint8_t* const config = reply.payload.data() + sizeof(wanted);
  return std::vector<uint8_t>(config, config + config_bytes);
}

}  // namespace annulus::vhost_user
