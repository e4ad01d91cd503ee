#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_SPILL_BUFFER_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_SPILL_BUFFER_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace annulus::virtio {

// Payload from the guest that a host's socket did not take at once: a queue of
// bytes in segments, which are allocated when there is something to keep and
// freed when it is gone.
//
// One thread appends, another takes out. Calls are under the connection's
// lock, but not the copying: what Room() and Front() return stays where it is
// until CommitRoom() and Consume() respectively.
//
// Threads: calls are serialized; see above.
// Allocation: one segment for each `segment_bytes`. The caller bounds size().
class SpillBuffer {
 public:
  SpillBuffer() = default;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Where to put the next bytes, at most `max_bytes` and at least one.
  // REQUIRES: max_bytes and segment_bytes are not 0, the latter always the
  // same; CommitRoom() was called since.
  absl::Span<uint8_t> Room(size_t max_bytes, size_t segment_bytes);
  // The first `bytes` of them are there now.
  void CommitRoom(size_t bytes);

  // The first bytes, at most `max_bytes`, as far as `vectors` go. Returns how
  // many vectors it took.
  size_t Front(size_t max_bytes, absl::Span<iovec> vectors) const;
  // Takes out the first bytes. REQUIRES: there are so many.
  void Consume(size_t bytes);

 private:
  std::vector<std::unique_ptr<uint8_t[]>> segments_;
  size_t segment_bytes_ = 0;
  size_t begin_ = 0;  // Of the first byte, in the first segment.
  size_t size_ = 0;
  bool room_given_ = false;  // The last segment is being written to.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_SPILL_BUFFER_H_
