#ifndef CLI_VSOCK_DIAL_H_
#define CLI_VSOCK_DIAL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace annulus::cli {

struct DialOptions {
  std::string path;  // Of the virtual machine's socket device.
  uint32_t port = 0;
  bool seqpacket = false;
  // For so long it tries again where there is no socket yet, or nobody in the
  // guest. 0: it tries once, and waits for an answer as long as the device
  // does.
  absl::Duration timeout;
};

// A blocking socket that is connected to a port of the guest; what is read from
// it begins with what the guest sent. Errors are one line: InvalidArgument for
// a path that cannot be one, NotFound where nobody listens in the guest.
absl::StatusOr<UniqueFd> DialGuest(const DialOptions& options);

}  // namespace annulus::cli

#endif  // CLI_VSOCK_DIAL_H_
