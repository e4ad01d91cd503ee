#include "devices/virtio/net/receive/receive_window.h"

#include <algorithm>
#include <cstring>

#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

// Drops the first `bytes` of a vector.
void Advance(iovec& vector, size_t bytes) {
  vector.iov_base = static_cast<uint8_t*>(vector.iov_base) + bytes;
  vector.iov_len -= bytes;
}

}  // namespace

ReceiveWindow::ReceiveWindow(uint16_t max_queue_size,
                             absl::Span<uint8_t> header,
                             absl::Span<uint8_t> overflow)
    : header_(header),
      overflow_(overflow),
      // Twice the queue: while many are kept, there is room for as many.
      batch_(max_queue_size,
             static_cast<uint16_t>(std::min(2 * max_queue_size, 0xffff))),
      vectors_(size_t{4} * max_queue_size + 2) {}

void ReceiveWindow::Restart(uint32_t header_bytes, bool mergeable) {
  batch_.Abandon();
  header_bytes_ = header_bytes;
  mergeable_ = mergeable;
  begin_ = end_ = offer_end_ = 1;
  room_ = offered_ = 0;
  front_ready_ = false;
  covers_ = false;
}

void ReceiveWindow::Append(const DescriptorChain& chain) {
  Uncover();
  const absl::Span<const ChainElement> elements = chain.writable();
  if (end_ + elements.size() + 1 > vectors_.size()) {
    // By now as many went away as are left, at least.
    std::copy(vectors_.begin() + static_cast<ptrdiff_t>(begin_),
              vectors_.begin() + static_cast<ptrdiff_t>(end_),
              vectors_.begin() + 1);
    end_ -= begin_ - 1;
    offer_end_ -= begin_ - 1;
    begin_ = 1;
  }
  for (const ChainElement& element : elements) {
    vectors_[end_++] = element.span.AsIovec();
  }
  room_ += chain.writable_bytes();
}

// Leaves the driver's header out of the first buffer.
void ReceiveWindow::PrepareFront() {
  ANNULUS_DCHECK(front().writable_bytes() >= header_bytes_);
  front_vectors_ = front().writable().size();
  size_t skip = header_bytes_;
  room_ -= skip;
  while (skip != 0) {
    const size_t here = std::min(skip, vectors_[begin_].iov_len);
    Advance(vectors_[begin_], here);
    skip -= here;
    if (vectors_[begin_].iov_len == 0) {
      ++begin_;
      --front_vectors_;
    }
  }
  if (offer_end_ >= begin_ + front_vectors_) {
    offered_ -= header_bytes_;  // It was offered, behind another buffer.
  } else {
    offer_end_ = begin_;
    offered_ = 0;
  }
  front_ready_ = true;
}

void ReceiveWindow::ExtendOffer() {
  const size_t limit = mergeable_ ? end_ : begin_ + front_vectors_;
  const size_t most = std::min(limit, begin_ + kMaxVectors);
  while (offer_end_ < most && offered_ < kNetMaxFrameBytes) {
    offered_ += vectors_[offer_end_++].iov_len;
  }
}

absl::Span<const iovec> ReceiveWindow::Vectors() {
  Uncover();
  if (!front_ready_) PrepareFront();
  ExtendOffer();
  vectors_[begin_ - 1] = {header_.data(), header_.size()};
  covered_ = vectors_[offer_end_];
  covers_ = true;
  vectors_[offer_end_] = {overflow_.data(), overflow_.size()};
  return absl::MakeConstSpan(vectors_.data() + begin_ - 1,
                             offer_end_ - begin_ + 2);
}

void ReceiveWindow::Uncover() {
  if (!covers_) return;
  vectors_[offer_end_] = covered_;
  covers_ = false;
}

void ReceiveWindow::PlaceOverflow(uint32_t frame_bytes) {
  Uncover();
  absl::Span<const uint8_t> rest =
      overflow_.first(static_cast<size_t>(frame_bytes - offered_));
  for (size_t i = offer_end_; !rest.empty(); ++i) {
    ANNULUS_DCHECK(i < end_);
    const size_t here = std::min(rest.size(), vectors_[i].iov_len);
    std::memcpy(vectors_[i].iov_base, rest.data(), here);
    rest.remove_prefix(here);
  }
}

ReceiveWindow::Extent ReceiveWindow::Measure(uint32_t frame_bytes) {
  uint64_t left = uint64_t{frame_bytes} + header_bytes_;
  uint32_t count = 0;
  while (true) {
    const uint32_t bytes = at(count++).writable_bytes();
    if (left <= bytes) return {count, static_cast<uint32_t>(left)};
    left -= bytes;
  }
}

void ReceiveWindow::Release(uint32_t count) {
  Uncover();
  for (uint32_t i = 0; i < count; ++i) {
    const DescriptorChain& chain = at(i);
    const bool trimmed = i == 0 && front_ready_;
    const uint64_t bytes =
        chain.writable_bytes() - (trimmed ? header_bytes_ : 0);
    begin_ += trimmed ? front_vectors_ : chain.writable().size();
    room_ -= bytes;
    if (begin_ <= offer_end_) {
      offered_ -= bytes;
    } else {
      offer_end_ = begin_;
      offered_ = 0;
    }
  }
  front_ready_ = false;
  batch_.Release(count);
  if (empty()) begin_ = end_ = offer_end_ = 1;
}

}  // namespace annulus::virtio
