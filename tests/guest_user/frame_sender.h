#ifndef TESTS_GUEST_USER_FRAME_SENDER_H_
#define TESTS_GUEST_USER_FRAME_SENDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/guest_user/stream.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {

// Sends the frames of one stream at a tap interface: what is sent there, the
// VMM behind the tap receives.
//
// Threads: thread-compatible.
class FrameSender {
 public:
  virtual ~FrameSender() = default;

  // Blocks while queues are full. An error: the frame is lost.
  virtual absl::Status Send(uint64_t sequence) = 0;
};

// TCP frames go as they are through a packet socket, with a virtio-net header
// of their own, so that they may have 64 KiB. UDP datagrams are the kernel's,
// which has to have a route and a neighbour entry to 10.0.0.2 or fd00::2.
absl::StatusOr<std::unique_ptr<FrameSender>> OpenFrameSender(
    const StreamSpec& spec, const std::string& interface,
    const MacAddress& destination);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_FRAME_SENDER_H_
