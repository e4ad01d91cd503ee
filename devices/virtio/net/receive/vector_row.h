#ifndef DEVICES_VIRTIO_NET_RECEIVE_VECTOR_ROW_H_
#define DEVICES_VIRTIO_NET_RECEIVE_VECTOR_ROW_H_

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// The vectors of a run of buffers, in their order, as one array that parts of
// are given to readv(2), framed by vectors of the caller:
//
//     | fronts | vectors from some point on, as many as a frame needs | back |
//
// Each vector is written once, when its buffer comes, and not once per frame;
// what a frame needs is found by moving both ends of the part that the last one
// was given.
//
// Threads: thread-compatible.
// Trust: how many vectors there are, and how long, is guest-controlled.
// Allocation: none after construction.
class VectorRow {
 public:
  static constexpr size_t kMaxFronts = 3;

  // Room for `capacity` vectors at a time, and as many that were dropped.
  explicit VectorRow(size_t capacity);

  void Clear();

  // Hot. Makes room for as many as there may be, so that some can be given to
  // Append(). REQUIRES: with them there are not more than `capacity`.
  void Reserve() {
    Uncover();
    if (begin_ > kFree + capacity_) MoveToFront();
  }
  void Append(const iovec& vector) { vectors_[end_++] = vector; }

  // Hot. The first `count` are of no interest any more.
  void Drop(size_t count) {
    ANNULUS_DCHECK(count <= size());
    if (covered_front_count_ != 0 && offer_begin_ <= begin_ + count) {
      // What the fronts covered goes away, too.
      vectors_[offer_end_] = covered_back_;
      covered_front_count_ = 0;
    }
    Uncover();
    begin_ += count;
    while (offer_begin_ < begin_ && offer_begin_ < offer_end_) {
      offered_ -= vectors_[offer_begin_++].iov_len;
    }
    if (offer_begin_ < begin_) offer_begin_ = offer_end_ = begin_;
    if (begin_ == end_) Clear();
  }

  // Hot. `fronts`, then what comes after the first `skip` vectors, of the first
  // `limit` only, as much as the largest frame needs, then `back`. No more than
  // readv(2) takes. Valid until the next call of anything else.
  // REQUIRES: kFronts <= skip + 2; skip and limit are not beyond the end.
  //
  // Inlined, so that fronts that were just made go where they belong from
  // registers: a vector read back at once as a whole, from the two halves that
  // were written, waits for both to reach the cache.
  template <size_t kFronts>
  ABSL_ATTRIBUTE_ALWAYS_INLINE absl::Span<const iovec> Offer(
      const iovec (&fronts)[kFronts], size_t skip, size_t limit,
      const iovec& back) {
    static_assert(kFronts <= kMaxFronts);
    ANNULUS_DCHECK(kFronts <= skip + kFree);
    ANNULUS_DCHECK(skip <= limit && limit <= size());
    Uncover();
    const size_t from = begin_ + skip;
    Slide(from, std::min(begin_ + limit, from + kMaxRead - kFronts - 1));
    iovec* const first = vectors_.data() + (from - kFronts);
    for (size_t i = 0; i < kFronts; ++i) {
      covered_fronts_[i] = first[i];
      first[i] = fronts[i];
    }
    covered_front_count_ = kFronts;
    covered_back_ = vectors_[offer_end_];
    vectors_[offer_end_] = back;
    return absl::MakeConstSpan(first, kFronts + (offer_end_ - from) + 1);
  }

  // Bytes of the row, without fronts and back, that Offer() gave.
  uint64_t offered() const { return offered_; }

  // Hot. The first `count` as they are. Valid until the next call of anything
  // else. REQUIRES: count <= size().
  absl::Span<const iovec> First(size_t count) {
    ANNULUS_DCHECK(count <= size());
    Uncover();
    return absl::MakeConstSpan(vectors_.data() + begin_, count);
  }

  size_t size() const { return end_ - begin_; }

 private:
  // Slots before the first vector, which fronts may need.
  static constexpr size_t kFree = kMaxFronts - 1;
  static constexpr size_t kMaxRead = 1024;  // UIO_MAXIOV

  void MoveToFront();

  // Moves the part that is offered to [from, ...), up to `most`.
  void Slide(size_t from, size_t most) {
    if (from > offer_end_) {
      offer_begin_ = offer_end_ = from;
      offered_ = 0;
    }
    while (offer_begin_ < from) offered_ -= vectors_[offer_begin_++].iov_len;
    while (offer_begin_ > from) offered_ += vectors_[--offer_begin_].iov_len;
    while (offer_end_ > most) offered_ -= vectors_[--offer_end_].iov_len;
    while (offer_end_ < most && offered_ < kNetMaxFrameBytes) {
      offered_ += vectors_[offer_end_++].iov_len;
    }
  }

  // The usual offer is dropped before anything is to be seen again.
  void Uncover() {
    if (ABSL_PREDICT_FALSE(covered_front_count_ != 0)) UncoverSlow();
  }
  void UncoverSlow();

  const size_t capacity_;
  std::vector<iovec> vectors_;
  size_t begin_ = kFree;
  size_t end_ = kFree;
  // What was offered last, and how many bytes it has.
  size_t offer_begin_ = kFree;
  size_t offer_end_ = kFree;
  uint64_t offered_ = 0;
  // What Offer() put fronts and back in the place of; no fronts: nothing.
  std::array<iovec, kMaxFronts> covered_fronts_ = {};
  size_t covered_front_count_ = 0;
  iovec covered_back_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_VECTOR_ROW_H_
