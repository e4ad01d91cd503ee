#ifndef VMM_CONFIG_HEADER_SPLIT_CONFIG_H_
#define VMM_CONFIG_HEADER_SPLIT_CONFIG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// As the device takes it. REQUIRES: it is valid.
virtio::HeaderSplitOptions HeaderSplitOptionsOf(
    const HeaderSplitConfig& config);

// The part of ValidateNetConfigs() that is about header split. `at` is the
// field: "net[0].header_split".
//
// Trust: every number is untrusted.
absl::Status ValidateHeaderSplit(absl::string_view at,
                                 const HeaderSplitConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_HEADER_SPLIT_CONFIG_H_
