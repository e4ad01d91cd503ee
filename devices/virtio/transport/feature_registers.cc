#include "devices/virtio/transport/feature_registers.h"

namespace annulus::virtio {
namespace {

// §2.2: "devices supporting multiple transports need to carefully maintain
// per-transport lists of allowed features". These change what a transport
// does: whether they are offered is for it to say, whatever the device thinks.
constexpr uint32_t kFeaturesOfTransports[] = {
    kFeatureSrIov,
    kFeatureNotificationData,
    kFeatureNotifConfigData,
    kFeatureRingReset,
    41,  // VIRTIO_F_ADMIN_VQ
    43,  // VIRTIO_F_SUSPEND
};

FeatureSet OfferedByDevice(const VirtioDevice& device) {
  FeatureSet features = device.offered_features();
  for (const uint32_t bit : kFeaturesOfTransports) features.Remove(bit);
  return features;
}

// The others of the list are not implemented.
FeatureSet WithTransport(FeatureSet features, const TransportOptions& options) {
  if (options.ring_reset) features.Add(kFeatureRingReset);
  if (options.notification_data) features.Add(kFeatureNotificationData);
  return features;
}

}  // namespace

FeatureRegisters::FeatureRegisters(const VirtioDevice& device,
                                   const TransportOptions& options)
    : device_(device),
      device_offered_(OfferedByDevice(device)),
      offered_(WithTransport(device_offered_, options)) {}

bool FeatureRegisters::Acceptable() const {
  return driver_.IsSubsetOf(offered_) && driver_.Has(kFeatureVersion1) &&
         device_.AcceptFeatures(ForDevice());
}

void FeatureRegisters::Reset() {
  driver_ = FeatureSet();
  device_select_ = 0;
  driver_select_ = 0;
}

}  // namespace annulus::virtio
