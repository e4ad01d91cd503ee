#ifndef DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_
#define DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/receive/vector_row.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/net.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// The buffers that a receiveq has taken and not used yet, as the vectors that a
// backend reads into: a frame lands in guest memory by itself, wherever it
// ends, and the buffers behind it wait for the next.
//
// Every offer of vectors begins with one for the backend's header, and ends
// with the overflow, which takes what has no room in the buffers, so that no
// frame is ever cut off. Between them, a frame as it is:
//
//   - | header | buffer 0 behind the driver's header | ... | overflow |
//
// and where it is to be split (docs/header_split.md), its first bytes aside, in
// memory of the device, and the rest where its payload is to be:
//
//   A | header | aside | elements 1, 2, ... of buffer 0 | overflow |
//   B | header | aside | buffer 1 | buffer 2 | ... | overflow |
//   C | header | aside | data buffers only | overflow |
//   Q | header | aside | buffer 0 behind the driver's header | ... | overflow |
//
// With MRG_RXBUF a frame may go over all buffers, else it has the first alone.
//
// Threads: thread-compatible.
// Trust: sizes and number of buffers are guest-controlled, none is assumed.
// Allocation: none after construction.
class ReceiveWindow {
 public:
  // A place in the buffers: `offset` bytes into buffer `buffer`, and on from
  // there, over all buffers or over data buffers only.
  struct Place {
    uint32_t buffer = 0;
    uint32_t offset = 0;
    bool data_buffers_only = false;

    friend bool operator==(const Place&, const Place&) = default;
  };

  // `header` of kNetHeaderBytes and `overflow`, which has room for the largest
  // frame, outlive the window.
  ReceiveWindow(uint16_t max_queue_size, absl::Span<uint8_t> header,
                absl::Span<uint8_t> overflow);

  // Forgets all buffers. The driver's header has `header_bytes`.
  void Restart(uint32_t header_bytes, bool mergeable);

  // Buffers of no more than so many bytes are header buffers (method C), all
  // others data buffers; 0, as after Restart(): there are data buffers only.
  // Cold where it changes.
  void SetHeaderBufferBytes(uint32_t bytes);

  // Hot. Takes what is available in `queue`; returns how many buffers.
  template <typename Queue>
  uint32_t Fill(Queue& queue) {
    const size_t before = batch_.chains().size();
    const uint32_t more = queue.TakeMore(batch_);
    if (more != 0) Append(batch_.chains().subspan(before));
    return more;
  }

  bool empty() { return batch_.chains().empty(); }
  uint32_t buffers() { return static_cast<uint32_t>(batch_.chains().size()); }
  // REQUIRES: !empty(); index < buffers(). Looked at often, so not checked
  // again as by absl::Span's operator.
  DescriptorChain& front() { return at(0); }
  DescriptorChain& at(size_t index) {
    ANNULUS_DCHECK(index < buffers());
    return batch_.chains().data()[index];
  }
  bool mergeable() const { return mergeable_; }
  uint32_t header_bytes() const { return header_bytes_; }
  bool IsHeaderBuffer(const DescriptorChain& chain) const {
    return chain.writable_bytes() <= header_buffer_bytes_;
  }

  // True where more buffers would be of use for the next frame, whatever its
  // size and wherever its header goes.
  bool wants_more() {
    return empty() ||
           (mergeable_ && data_bytes() < kNetMaxFrameBytes +
                                             kMaxDriverHeaderBytes +
                                             front().writable_bytes());
  }

  // Bytes that one frame may have: of all buffers, or of the first. And of all
  // data buffers together.
  // REQUIRES: !empty().
  uint64_t room() { return mergeable_ ? bytes_ : front().writable_bytes(); }
  uint64_t data_bytes() const {
    return header_buffer_bytes_ == 0 ? bytes_ : data_bytes_;
  }

  // Hot. Where to read the next frame: see above. As many buffers as the
  // largest frame needs. Valid until the next call of anything else.
  // REQUIRES: !empty(), the first has room for the driver's header, and
  //   - elements: it has one at least;
  //   - data buffers: the first is a header buffer.
  absl::Span<const iovec> Whole() {
    const memory::GuestSpan& first = front().writable().data()->span;
    if (ABSL_PREDICT_FALSE(first.size() <= header_bytes_)) return WholeSlow();
    const absl::Span<const iovec> vectors = row_.Offer(
        {header_, Rest(first, header_bytes_)}, 1, limit(), overflow_);
    offered_ = row_.offered() + first.size() - header_bytes_;
    return vectors;
  }
  absl::Span<const iovec> BehindElement(absl::Span<uint8_t> aside);  // A
  absl::Span<const iovec> BehindBuffer(absl::Span<uint8_t> aside);   // B
  absl::Span<const iovec> InDataBuffers(absl::Span<uint8_t> aside);  // C
  absl::Span<const iovec> BehindHeader(absl::Span<uint8_t> aside);   // Q
  // The frame to the overflow as a whole.
  absl::Span<const iovec> Overflow() {
    offered_ = 0;
    return whole_overflow_;
  }

  // Bytes of the last offer before the overflow, without the header.
  uint64_t offered() const { return offered_; }

  // Copies over the buffers from `place` on, whatever their elements are.
  // REQUIRES: they have as many bytes.
  void CopyIn(const Place& place, absl::Span<const uint8_t> bytes) {
    // A buffer may have nothing to write to; then the next one is meant.
    const absl::Span<const ChainElement> elements = at(place.buffer).writable();
    if (ABSL_PREDICT_TRUE(!elements.empty() && !place.data_buffers_only &&
                          place.offset + bytes.size() <=
                              elements[0].span.size())) {
      elements[0].span.CopyIn(place.offset, bytes);
    } else {
      CopyInSlow(place, bytes);
    }
  }
  void CopyOut(const Place& place, absl::Span<uint8_t> bytes);

  // Hot. The first buffers, `most` of them at most, as long as each is a single
  // element to write to: a vector for each, which covers all of it. Valid until
  // the next call of anything else. REQUIRES: there are data buffers only.
  absl::Span<const iovec> SingleElements(uint32_t most) {
    ANNULUS_DCHECK(header_buffer_bytes_ == 0);
    const absl::Span<DescriptorChain> chains = batch_.chains();
    size_t count = 0;
    while (count < std::min<size_t>(most, chains.size()) &&
           chains.data()[count].writable().size() == 1) {
      ++count;
    }
    return row_.First(count);
  }

  // Hot. So many of what SingleElements() gave, of `bytes` together, were
  // pushed.
  void ReleaseSingleElements(uint32_t count, uint64_t bytes) {
    bytes_ -= bytes;
    row_.Drop(count);
    batch_.Release(count);
  }

  // Hot. The first buffer was pushed.
  void ReleaseFront() {
    const DescriptorChain& chain = front();
    bytes_ -= chain.writable_bytes();
    row_.Drop(chain.writable().size());
    if (ABSL_PREDICT_FALSE(header_buffer_bytes_ != 0)) ReleaseData(chain);
    batch_.Release(1);
  }

 private:
  static iovec Rest(const memory::GuestSpan& span, size_t bytes) {
    return span.Subspan(bytes, span.size() - bytes).AsIovec();
  }

  template <typename Copy>
  void Walk(const Place& place, size_t size, Copy copy);
  void Append(absl::Span<const DescriptorChain> chains);
  void AppendData(absl::Span<const DescriptorChain> chains);
  void ReleaseData(const DescriptorChain& chain);
  size_t first_vectors() { return front().writable().size(); }
  size_t limit() { return mergeable_ ? row_.size() : first_vectors(); }
  // How many vectors the driver's header covers, at least in part, and what
  // remains of the last of these.
  struct Cut {
    size_t vectors;
    memory::GuestSpan rest;
  };
  Cut CutHeader();
  absl::Span<const iovec> Aside(VectorRow& row, absl::Span<uint8_t> aside,
                                size_t skip, size_t limit);
  ABSL_ATTRIBUTE_COLD absl::Span<const iovec> WholeSlow();
  ABSL_ATTRIBUTE_COLD void CopyInSlow(const Place& place,
                                      absl::Span<const uint8_t> bytes);

  const iovec header_;
  const iovec overflow_;
  uint32_t header_bytes_ = 0;
  uint32_t header_buffer_bytes_ = 0;
  bool mergeable_ = false;

  ChainBatch batch_;
  VectorRow row_;       // Of all buffers.
  VectorRow data_row_;  // Of data buffers; empty unless there are others.
  uint64_t bytes_ = 0;
  uint64_t data_bytes_ = 0;  // Of data buffers, if there are others.
  uint64_t offered_ = 0;
  const iovec whole_overflow_[2];
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_
