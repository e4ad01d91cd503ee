#ifndef VMM_MACHINE_CUSTOM_DEVICE_H_
#define VMM_MACHINE_CUSTOM_DEVICE_H_

#include "absl/status/status.h"
#include "vmm/resources.h"

namespace annulus {

// Whether a transport can carry a device of the embedder's, as far as that
// shows before it runs: InvalidArgument, which says what is wrong. How large
// its configuration may be, and how many queues it may have, the transport
// knows.
absl::Status CheckCustomDevice(const CustomDevice& custom);

}  // namespace annulus

#endif  // VMM_MACHINE_CUSTOM_DEVICE_H_
