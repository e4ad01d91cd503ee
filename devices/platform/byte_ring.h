#ifndef DEVICES_PLATFORM_BYTE_RING_H_
#define DEVICES_PLATFORM_BYTE_RING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/types/span.h"
#include "base/check.h"

namespace annulus::platform {

// A bounded first-in first-out queue of bytes.
//
// Threads: thread-compatible.
// Allocation: once. Pages that were never reached are never touched, and an
//   empty ring starts again at its beginning, so a quiet one stays small.
class ByteRing {
 public:
  explicit ByteRing(size_t capacity)
      : capacity_(capacity),
        bytes_(std::make_unique_for_overwrite<uint8_t[]>(capacity)) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t room() const { return capacity_ - size_; }

  // REQUIRES: room() > 0.
  void Push(uint8_t byte) {
    ANNULUS_DCHECK(room() > 0);
    const size_t tail = begin_ + size_;
    bytes_[tail < capacity_ ? tail : tail - capacity_] = byte;
    ++size_;
  }

  // Takes up to data.size() bytes; returns how many.
  size_t Pop(absl::Span<uint8_t> data) {
    const size_t count = std::min(data.size(), size_);
    if (count == 0) return 0;
    const size_t first = std::min(count, capacity_ - begin_);
    std::memcpy(data.data(), &bytes_[begin_], first);
    std::memcpy(data.data() + first, &bytes_[0], count - first);
    size_ -= count;
    begin_ = size_ == 0 ? 0 : (begin_ + count) % capacity_;
    return count;
  }

  void Clear() { begin_ = size_ = 0; }

 private:
  const size_t capacity_;
  const std::unique_ptr<uint8_t[]> bytes_;
  size_t begin_ = 0;
  size_t size_ = 0;
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_BYTE_RING_H_
