#include "devices/virtio/net/backend/frame_ring.h"

#include <cstring>

#include "base/check.h"

namespace annulus::virtio {

size_t FrameRing::RecordBytes(size_t frame_bytes) {
  return kLengthBytes +
         (frame_bytes + kLengthBytes - 1) / kLengthBytes * kLengthBytes;
}

uint8_t* FrameRing::Reserve(size_t bytes) {
  ANNULUS_DCHECK(bytes >= 1 && bytes <= kMaxFrameBytes);
  const uint64_t written = kept_;
  const size_t to_end = BytesToEnd(written);
  const size_t skipped = RecordBytes(bytes) <= to_end ? 0 : to_end;
  const uint64_t end = written + skipped + RecordBytes(bytes);
  if (end - read_seen_ > kBytes) {
    // Acquire: pairs with the release in Pop(); the reader is done with it.
    read_seen_ = read_.load(std::memory_order_acquire);
    if (end - read_seen_ > kBytes) return nullptr;
  }
  // Positions are multiples of kLengthBytes: there is always room for kSkip.
  if (skipped != 0) std::memcpy(At(written), &kSkip, kLengthBytes);
  uint8_t* const record = At(written + skipped);
  const uint64_t length = bytes;
  std::memcpy(record, &length, kLengthBytes);
  reserved_ = end;
  return record + kLengthBytes;
}

void FrameRing::Publish() {
  // Release: pairs with the acquire in Front(), which then sees the records.
  written_.store(kept_, std::memory_order_release);
}

absl::Span<const uint8_t> FrameRing::Front() {
  uint64_t read = read_.load(std::memory_order_relaxed);  // Ours.
  if (read == written_seen_) {
    // Acquire: pairs with the release in Commit().
    written_seen_ = written_.load(std::memory_order_acquire);
    if (read == written_seen_) return {};
  }
  uint64_t length;
  std::memcpy(&length, At(read), kLengthBytes);
  if (length == kSkip) {
    read += BytesToEnd(read);
    std::memcpy(&length, At(read), kLengthBytes);
  }
  front_end_ = read + RecordBytes(length);
  return {At(read) + kLengthBytes, static_cast<size_t>(length)};
}

void FrameRing::Pop() {
  // Release: pairs with the acquire in Reserve(): our reads come before the
  // writes of whoever uses this room again.
  read_.store(front_end_, std::memory_order_release);
}

}  // namespace annulus::virtio
