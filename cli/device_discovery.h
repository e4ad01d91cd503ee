#ifndef CLI_DEVICE_DISCOVERY_H_
#define CLI_DEVICE_DISCOVERY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace annulus::cli {

// How management software finds out what a vhost-user program is: QEMU,
// docs/interop/vhost-user.json and "Backend program conventions" of
// docs/interop/vhost-user.rst. `kind` is "net", "vsock" or "rng", which are the
// names there, too.

// VHostUserBackendCapabilities, in one line: what --print-capabilities prints.
std::string DeviceCapabilities(absl::string_view kind);

// VhostUserBackend: the content of a file in /usr/share/qemu/vhost-user, of
// which `binary` is the program's absolute path. InvalidArgument for another
// path, without the flag's name.
absl::StatusOr<std::string> DeviceDescriptor(absl::string_view kind,
                                             absl::string_view binary);

}  // namespace annulus::cli

#endif  // CLI_DEVICE_DISCOVERY_H_
