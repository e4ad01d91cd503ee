#ifndef DEVICES_VIRTIO_NET_BACKEND_TAP_DEVICE_H_
#define DEVICES_VIRTIO_NET_BACKEND_TAP_DEVICE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// The Linux tap device: its ioctls, without state. TapBackend uses them.
//
// Threads: each function may run on any thread; interfaces are those of the
//   calling thread's network namespace.
// Errors: each names the interface.

struct OpenTapOptions {
  std::string name;
  uint16_t queue_pairs = 1;
  // Make the interface if there is none, and set it up; it goes when its last
  // descriptor is closed. Not set: NotFound.
  bool create = false;
};

// Opens an interface: a descriptor per queue pair, with a virtio-net header
// before each frame. An interface that exists is not brought up.
absl::StatusOr<std::vector<UniqueFd>> OpenTap(const OpenTapOptions& options);

// The interface behind a descriptor.
struct TapInterface {
  std::string name;
  std::array<uint8_t, 6> mac;
  // Its queues can be switched on and off: a tap made for several, or a
  // macvtap.
  bool multi_queue;
};

// Fails if `fd` is no tap or macvtap, or shows frames in another form.
absl::StatusOr<TapInterface> DescribeTap(int fd);

// Makes a queue non-blocking (for everyone who has a duplicate of it), and its
// header 12 bytes long and little-endian.
absl::Status PrepareTapQueue(int fd, absl::string_view name);

// Which offloads the kernel knows: see NetBackend::offloads(). Receive offloads
// are off afterwards.
absl::StatusOr<FeatureSet> ProbeTapOffloads(int fd, absl::string_view name);

// Lets frames be received as the GUEST_* bits of `offloads` allow.
absl::Status SetTapReceiveOffloads(int fd, const FeatureSet& offloads,
                                   absl::string_view name);

// Whether frames are received from this queue. REQUIRES: multi_queue; the queue
// is not like that already.
absl::Status SetTapQueueAttached(int fd, bool attached, absl::string_view name);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_TAP_DEVICE_H_
