#ifndef TESTS_GUEST_USER_STREAM_CHECK_H_
#define TESTS_GUEST_USER_STREAM_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "devices/virtio/driver/received_packet.h"
#include "tests/guest_user/stream.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {

struct StreamCounts {
  uint64_t frames = 0;  // Of the stream; each is of one of the next kinds.
  uint64_t split = 0;
  uint64_t unsplit = 0;    // Could have been split.
  uint64_t pure_acks = 0;  // As the next, never to be split.
  uint64_t fragments = 0;

  uint64_t gso = 0;  // Of `frames`, those of 64 KiB.
  uint64_t payload_bytes = 0;
  // Of split frames: memory pages in which payload begins at the first byte,
  // and pieces of payload that begin elsewhere, or stop before a page's end
  // though there is more.
  uint64_t aligned_pages = 0;
  uint64_t misaligned_pieces = 0;

  uint64_t other_frames = 0;  // Not of the stream.
};

// Checks what a receiver got against what was sent: that every frame of the
// stream came once and in order, with every byte as it was, split where the
// transport's header ends, or not at all if it must not be.
//
// Threads: thread-compatible.
class StreamCheck {
 public:
  // `destination`: the card's address.
  StreamCheck(const StreamSpec& spec, const MacAddress& destination)
      : spec_(spec), destination_(destination) {}

  // False: something was not right, error() says what.
  bool Check(const virtio::ReceivedPacket& packet);

  bool complete() const { return counts_.frames == spec_.frames; }
  const StreamCounts& counts() const { return counts_; }
  // What was found first.
  const std::string& error() const { return error_; }

 private:
  bool Fail(absl::string_view what);
  bool CheckPlacement(const virtio::ReceivedPacket& packet, FrameKind kind);
  bool CheckNetHeader(const virtio::ReceivedPacket& packet, FrameKind kind);
  bool CheckPayload(const virtio::ReceivedPacket& packet, uint64_t sequence);
  void Count(const virtio::ReceivedPacket& packet, uint64_t sequence);

  const StreamSpec spec_;
  const MacAddress destination_;
  StreamCounts counts_;
  std::string error_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_STREAM_CHECK_H_
