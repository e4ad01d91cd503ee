#ifndef VMM_CONFIG_VALIDATE_VHOST_USER_CONFIG_H_
#define VMM_CONFIG_VALIDATE_VHOST_USER_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of ValidateVmConfig() that is about devices which another process
// serves; `at` is the device, such as "net[0]".
//
// Trust: every string and number is untrusted.

// Whether it is complete, where it is given.
absl::Status ValidateVhostUser(absl::string_view at,
                               const VhostUserConfig& vhost_user);

// A field that says something about the device itself.
struct FieldOfOwner {
  absl::string_view name;
  bool given;
};

// That none of `fields` is given: what that process does is not ours to
// configure.
absl::Status CheckNothingOfOwner(absl::string_view at,
                                 std::initializer_list<FieldOfOwner> fields);

// The same of an entropy device.
absl::Status ValidateVhostUserRng(absl::string_view at, const RngConfig& rng);

// That no two devices have the same socket, nor the descriptor that any device
// inherits. REQUIRES: each device is valid, so that there are few descriptors.
absl::Status ValidateUniqueVhostUser(const VmConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_VHOST_USER_CONFIG_H_
