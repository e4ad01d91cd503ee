#include "devices/virtio/net/backend/passt_stream.h"

#include <arpa/inet.h>

#include <cstring>

namespace annulus::virtio {

PasstStream::Found PasstStream::Next(absl::Span<const uint8_t>& frame) {
  const size_t available = end_ - begin_;
  if (available < kPasstLengthBytes) return Found::kIncomplete;
  uint32_t length;
  std::memcpy(&length, &bytes_[begin_], kPasstLengthBytes);
  length = ntohl(length);
  // begin_ stays: the next call finds the same.
  if (length == 0 || length > kNetMaxFrameBytes) return Found::kBroken;
  if (available - kPasstLengthBytes < length) return Found::kIncomplete;
  frame = {&bytes_[begin_ + kPasstLengthBytes], length};
  begin_ += kPasstLengthBytes + length;
  return Found::kFrame;
}

absl::Span<uint8_t> PasstStream::Room() {
  // At most one incomplete frame is left to be moved.
  if (begin_ != 0) {
    std::memmove(&bytes_[0], &bytes_[begin_], end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {&bytes_[end_], kBytes - end_};
}

}  // namespace annulus::virtio
