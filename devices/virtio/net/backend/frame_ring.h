#ifndef DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_
#define DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"

namespace annulus::virtio {

// A bounded queue of frames between two threads, which holds copies. Bytes, not
// frames, are what it has room for, so that small frames lie close together.
//
// Threads: Reserve(), Keep(), Publish() and Commit() on one, Front() and Pop()
//   on one other.
// Allocation: all in the constructor.
class FrameRing {
 public:
  static constexpr size_t kBytes = size_t{1} << 20;
  // The largest frame. A ring that is empty always has room for it, wherever
  // its ends are.
  static constexpr size_t kMaxFrameBytes = kBytes / 4;

  FrameRing() : records_(new uint8_t[kBytes]) {}

  // Hot. Room for a frame of so many bytes, or null if there is none.
  // REQUIRES: 1 <= bytes <= kMaxFrameBytes.
  uint8_t* Reserve(size_t bytes);

  // Hot. What lies in that room is the reader's now, with all that was kept.
  // REQUIRES: Reserve().
  void Commit() {
    Keep();
    Publish();
  }

  // Hot. The same in two steps, for several frames at once: what lies in that
  // room is to be the reader's, and what was kept so is.
  void Keep() { kept_ = reserved_; }
  void Publish();

  // Hot. The oldest frame, until Pop(); empty if there is none.
  absl::Span<const uint8_t> Front();

  // Hot. Removes what Front() gave last. REQUIRES: that was a frame.
  void Pop();

 private:
  // A record is its length in kLengthBytes, then the frame, then padding to a
  // multiple of kLengthBytes; none wraps around the end. Where the next one
  // does not fit before it, kSkip stands, and it is at the beginning.
  static constexpr size_t kLengthBytes = 8;
  static constexpr uint64_t kSkip = ~uint64_t{0};

  static size_t RecordBytes(size_t frame_bytes);
  uint8_t* At(uint64_t position) const { return &records_[position % kBytes]; }
  static size_t BytesToEnd(uint64_t position) {
    return kBytes - position % kBytes;
  }

  // Positions count bytes from the beginning of time.
  const std::unique_ptr<uint8_t[]> records_;

  // The writer's.
  alignas(64) std::atomic<uint64_t> written_{0};
  uint64_t kept_ = 0;       // Up to here, with the next Publish().
  uint64_t reserved_ = 0;   // Up to here, with the next Keep().
  uint64_t read_seen_ = 0;  // No more than read_.

  // The reader's.
  alignas(64) std::atomic<uint64_t> read_{0};
  uint64_t front_end_ = 0;     // Up to here, with the next Pop().
  uint64_t written_seen_ = 0;  // No more than written_.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_
