#ifndef DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_
#define DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/types/span.h"
#include "base/check.h"

namespace annulus::virtio {

// A bounded queue of frames between two threads, which holds copies. Bytes, not
// frames, are what it has room for, so that small frames lie close together;
// and where the reader keeps up, always in the same few pages.
//
// Threads: Reserve(), Keep(), Publish() and Commit() on one, all others on one
//   other.
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
  absl::Span<const uint8_t> Front() {
    front_end_ = oldest();
    return Next(front_end_);
  }

  // Hot. Removes what Front() gave last. REQUIRES: that was a frame.
  void Pop() { PopTo(front_end_); }

  // Removes all frames, but no more than there is room for: the writer goes on
  // meanwhile.
  void Discard() {
    for (size_t bytes = 0; bytes < kBytes;) {
      const size_t front = Front().size();
      if (front == 0) break;
      bytes += front;
      Pop();
    }
  }

  // Hot. Front() and Pop() for several frames: all from the oldest on, one by
  // one, and those that were wanted are removed at once.
  //
  //   FrameRing::Position position = ring.oldest();
  //   while (!(frame = ring.Next(position)).empty()) ...
  //   ring.PopTo(position);
  using Position = uint64_t;
  // Relaxed: the reader's own.
  Position oldest() const { return read_.load(std::memory_order_relaxed); }
  // The frame at `position`, which it moves behind that; empty if there is
  // none.
  absl::Span<const uint8_t> Next(Position& position);
  // REQUIRES: a position that Next() gave, or oldest().
  void PopTo(Position position) {
    // Release: pairs with the acquires of the writer: our reads come before its
    // writes to this room.
    read_.store(position, std::memory_order_release);
  }

 private:
  // A record is its length in kLengthBytes, then the frame, then padding to a
  // multiple of kLengthBytes; none wraps around the end. Where the next one
  // does not fit before it, kSkip stands, and it is at the beginning.
  static constexpr size_t kLengthBytes = 8;
  static constexpr uint64_t kSkip = ~uint64_t{0};

  // A batch of frames that begins behind this begins at the ring's beginning
  // instead, if the reader has read all: so that what is written and read again
  // and again stays in the processor's nearest cache.
  static constexpr size_t kWarmBytes = size_t{32} << 10;

  static size_t RecordBytes(size_t frame_bytes) {
    return kLengthBytes +
           (frame_bytes + kLengthBytes - 1) / kLengthBytes * kLengthBytes;
  }
  void StartAnew();
  bool HasMore(Position position);
  uint8_t* At(uint64_t position) const { return &records_[position % kBytes]; }
  static size_t BytesToEnd(uint64_t position) {
    return kBytes - position % kBytes;
  }

  // Positions count bytes from the beginning of time.
  const std::unique_ptr<uint8_t[]> records_;

  // The writer's.
  alignas(64) std::atomic<uint64_t> written_{0};
  // The reader's, too, once written_ is beyond it: the position that goes on at
  // the ring's beginning. Written only while there is nothing to be read.
  uint64_t restart_ = ~uint64_t{0};
  uint64_t kept_ = 0;       // Up to here, with the next Publish().
  uint64_t reserved_ = 0;   // Up to here, with the next Keep().
  uint64_t read_seen_ = 0;  // No more than what the reader is done with.

  // The reader's.
  alignas(64) std::atomic<uint64_t> read_{0};
  Position front_end_ = 0;     // Up to here, with the next Pop().
  uint64_t written_seen_ = 0;  // No more than written_.
};

inline uint8_t* FrameRing::Reserve(size_t bytes) {
  ANNULUS_DCHECK(bytes >= 1 && bytes <= kMaxFrameBytes);
  if (kept_ % kBytes >= kWarmBytes) StartAnew();
  const size_t record_bytes = RecordBytes(bytes);
  const size_t to_end = BytesToEnd(kept_);
  const size_t skipped = record_bytes <= to_end ? 0 : to_end;
  const uint64_t end = kept_ + skipped + record_bytes;
  if (end - read_seen_ > kBytes) {
    // Acquire: pairs with the release in PopTo(); the reader is done with it.
    const uint64_t read = read_.load(std::memory_order_acquire);
    // It may not know yet that nothing is left of the last lap.
    if (read != restart_) read_seen_ = read;
    if (end - read_seen_ > kBytes) return nullptr;
  }
  // Positions are multiples of kLengthBytes: there is always room for kSkip.
  if (skipped != 0) std::memcpy(At(kept_), &kSkip, kLengthBytes);
  uint8_t* const record = At(kept_ + skipped);
  const uint64_t length = bytes;
  std::memcpy(record, &length, kLengthBytes);
  reserved_ = end;
  return record + kLengthBytes;
}

// The next record goes to the ring's beginning, if it is the first of a batch
// and the reader has read all others.
inline void FrameRing::StartAnew() {
  // Relaxed: the writer's own. Acquire: as in Reserve().
  if (kept_ != written_.load(std::memory_order_relaxed) ||
      kept_ != read_.load(std::memory_order_acquire)) {
    return;
  }
  restart_ = kept_;
  kept_ += BytesToEnd(kept_);
  read_seen_ = kept_;
}

inline void FrameRing::Publish() {
  // Release: pairs with the acquire in Next(), which then sees the records.
  written_.store(kept_, std::memory_order_release);
}

// Whether anything that begins at `position` or later was published.
inline bool FrameRing::HasMore(Position position) {
  if (position != written_seen_) return true;
  // Acquire: pairs with the release in Publish().
  written_seen_ = written_.load(std::memory_order_acquire);
  return position != written_seen_;
}

inline absl::Span<const uint8_t> FrameRing::Next(Position& position) {
  if (!HasMore(position)) return {};
  if (position == restart_) {
    position += BytesToEnd(position);
    if (!HasMore(position)) return {};  // It was given up.
  }
  uint64_t length;
  std::memcpy(&length, At(position), kLengthBytes);
  if (length == kSkip) {
    position += BytesToEnd(position);
    std::memcpy(&length, At(position), kLengthBytes);
  }
  const uint8_t* const frame = At(position) + kLengthBytes;
  position += RecordBytes(length);
  return {frame, static_cast<size_t>(length)};
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_FRAME_RING_H_
