#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_CHECK_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_CHECK_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "devices/virtio/net/header_split/header_split_options.h"

namespace annulus::virtio {

// Why options cannot be.
struct HeaderSplitFault {
  absl::string_view field;  // Of a configuration: "split_feature".
  std::string reason;       // Continues "FIELD: ".
};

// Checks that the numbers are nobody else's, in virtio 1.4 and among each
// other, whether anything is offered or not; that the thresholds are in order;
// and that there is a method if header split is offered. The first fault, or
// nullopt.
//
// Trust: numbers may be anything.
std::optional<HeaderSplitFault> FindHeaderSplitFault(
    const HeaderSplitOptions& options);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_CHECK_H_
