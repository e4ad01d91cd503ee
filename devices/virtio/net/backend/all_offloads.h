#ifndef DEVICES_VIRTIO_NET_BACKEND_ALL_OFFLOADS_H_
#define DEVICES_VIRTIO_NET_BACKEND_ALL_OFFLOADS_H_

#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// All that NetBackend::offloads() may have, for a backend on which no frame
// ever meets a wire.
inline constexpr FeatureSet kAllOffloads = FeatureSet::Of(
    kNetCsum, kNetHostTso4, kNetHostTso6, kNetHostEcn, kNetHostUfo, kNetHostUso,
    kNetGuestCsum, kNetGuestTso4, kNetGuestTso6, kNetGuestEcn, kNetGuestUfo,
    kNetGuestUso4, kNetGuestUso6);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_ALL_OFFLOADS_H_
