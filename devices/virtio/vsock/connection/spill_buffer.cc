#include "devices/virtio/vsock/connection/spill_buffer.h"

#include <algorithm>

#include "base/check.h"

namespace annulus::virtio {

absl::Span<uint8_t> SpillBuffer::Room(size_t max_bytes, size_t segment_bytes) {
  ANNULUS_DCHECK(!room_given_ && max_bytes != 0 && segment_bytes != 0);
  segment_bytes_ = segment_bytes;
  size_t end = begin_ + size_;
  if (end == segments_.size() * segment_bytes_) {
    segments_.push_back(
        std::make_unique_for_overwrite<uint8_t[]>(segment_bytes_));
  }
  end %= segment_bytes_;
  room_given_ = true;
  return absl::MakeSpan(segments_.back().get() + end,
                        std::min(max_bytes, segment_bytes_ - end));
}

void SpillBuffer::CommitRoom(size_t bytes) {
  ANNULUS_DCHECK(room_given_);
  room_given_ = false;
  size_ += bytes;
  if (size_ == 0) Consume(0);
}

size_t SpillBuffer::Front(size_t max_bytes, absl::Span<iovec> vectors) const {
  size_t left = std::min(max_bytes, size_);
  size_t offset = begin_;
  size_t count = 0;
  for (; left != 0 && count != vectors.size(); ++count) {
    const size_t bytes = std::min(left, segment_bytes_ - offset);
    vectors[count] = {segments_[count].get() + offset, bytes};
    left -= bytes;
    offset = 0;
  }
  return count;
}

void SpillBuffer::Consume(size_t bytes) {
  ANNULUS_DCHECK(bytes <= size_);
  begin_ += bytes;
  size_ -= bytes;
  if (size_ == 0 && !room_given_) {
    // An idle connection holds no memory.
    std::vector<std::unique_ptr<uint8_t[]>>().swap(segments_);
    begin_ = 0;
    return;
  }
  const size_t spent = begin_ / segment_bytes_;
  segments_.erase(segments_.begin(),
                  segments_.begin() + static_cast<ptrdiff_t>(spent));
  begin_ -= spent * segment_bytes_;
}

}  // namespace annulus::virtio
