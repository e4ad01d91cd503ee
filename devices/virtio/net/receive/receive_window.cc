#include "devices/virtio/net/receive/receive_window.h"

#include <algorithm>

#include "devices/virtio/spec/net.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

iovec VectorOf(absl::Span<uint8_t> bytes) {
  return {bytes.data(), bytes.size()};
}

// Twice the queue: while many are kept, there is room for as many.
size_t MaxVectors(uint16_t max_queue_size) {
  return static_cast<size_t>(std::min(2 * max_queue_size, 0xffff));
}

}  // namespace

ReceiveWindow::ReceiveWindow(uint16_t max_queue_size,
                             absl::Span<uint8_t> header,
                             absl::Span<uint8_t> overflow)
    : header_(VectorOf(header)),
      overflow_(VectorOf(overflow)),
      batch_(max_queue_size, static_cast<uint16_t>(MaxVectors(max_queue_size))),
      row_(MaxVectors(max_queue_size)),
      data_row_(MaxVectors(max_queue_size)),
      whole_overflow_{header_, overflow_} {}

void ReceiveWindow::Restart(uint32_t header_bytes, bool mergeable) {
  ANNULUS_DCHECK(header_bytes <= kMaxDriverHeaderBytes);
  batch_.Abandon();
  header_bytes_ = header_bytes;
  header_buffer_bytes_ = 0;
  mergeable_ = mergeable;
  row_.Clear();
  data_row_.Clear();
  bytes_ = data_bytes_ = offered_ = 0;
}

void ReceiveWindow::SetHeaderBufferBytes(uint32_t bytes) {
  if (bytes == header_buffer_bytes_) return;
  header_buffer_bytes_ = bytes;
  row_.Clear();
  data_row_.Clear();
  bytes_ = data_bytes_ = 0;
  Append(batch_.chains());
}

// Hot.
void ReceiveWindow::Append(absl::Span<const DescriptorChain> chains) {
  row_.Reserve();
  for (const DescriptorChain& chain : chains) {
    for (const ChainElement& element : chain.writable()) {
      row_.Append(element.span.AsIovec());
    }
    bytes_ += chain.writable_bytes();
  }
  if (ABSL_PREDICT_FALSE(header_buffer_bytes_ != 0)) AppendData(chains);
}

void ReceiveWindow::AppendData(absl::Span<const DescriptorChain> chains) {
  data_row_.Reserve();
  for (const DescriptorChain& chain : chains) {
    if (IsHeaderBuffer(chain)) continue;
    for (const ChainElement& element : chain.writable()) {
      data_row_.Append(element.span.AsIovec());
    }
    data_bytes_ += chain.writable_bytes();
  }
}

ReceiveWindow::Cut ReceiveWindow::CutHeader() {
  ANNULUS_DCHECK(front().writable_bytes() >= header_bytes_);
  size_t left = header_bytes_;
  for (size_t i = 0;; ++i) {
    const memory::GuestSpan& span = front().writable()[i].span;
    if (left <= span.size()) {
      return {i + 1, span.Subspan(left, span.size() - left)};
    }
    left -= span.size();
  }
}

absl::Span<const iovec> ReceiveWindow::WholeSlow() {
  const Cut cut = CutHeader();
  // A vector without a byte is none.
  const absl::Span<const iovec> vectors =
      cut.rest.empty() ? row_.Offer({header_}, cut.vectors, limit(), overflow_)
                       : row_.Offer({header_, cut.rest.AsIovec()}, cut.vectors,
                                    limit(), overflow_);
  offered_ = row_.offered() + cut.rest.size();
  return vectors;
}

// Hot.
absl::Span<const iovec> ReceiveWindow::BehindHeader(absl::Span<uint8_t> aside) {
  const Cut cut = CutHeader();
  const absl::Span<const iovec> vectors =
      cut.rest.empty()
          ? row_.Offer({header_, VectorOf(aside)}, cut.vectors, limit(),
                       overflow_)
          : row_.Offer({header_, VectorOf(aside), cut.rest.AsIovec()},
                       cut.vectors, limit(), overflow_);
  offered_ = row_.offered() + aside.size() + cut.rest.size();
  return vectors;
}

// Behind the bytes aside, vectors of a row from `skip` on, up to `limit`.
absl::Span<const iovec> ReceiveWindow::Aside(VectorRow& row,
                                             absl::Span<uint8_t> aside,
                                             size_t skip, size_t limit) {
  const absl::Span<const iovec> vectors =
      row.Offer({header_, VectorOf(aside)}, skip, limit, overflow_);
  offered_ = row.offered() + aside.size();
  return vectors;
}

absl::Span<const iovec> ReceiveWindow::BehindElement(
    absl::Span<uint8_t> aside) {
  return Aside(row_, aside, 1, first_vectors());
}

absl::Span<const iovec> ReceiveWindow::BehindBuffer(absl::Span<uint8_t> aside) {
  return Aside(row_, aside, first_vectors(), row_.size());
}

absl::Span<const iovec> ReceiveWindow::InDataBuffers(
    absl::Span<uint8_t> aside) {
  ANNULUS_DCHECK(IsHeaderBuffer(front()));
  return Aside(data_row_, aside, 0, data_row_.size());
}

// Calls copy(span, offset in it, bytes, how many were before).
template <typename Copy>
void ReceiveWindow::Walk(const Place& place, size_t size, Copy copy) {
  size_t skip = place.offset;
  size_t done = 0;
  for (size_t i = place.buffer; done != size; ++i) {
    const DescriptorChain& chain = at(i);
    if (place.data_buffers_only && IsHeaderBuffer(chain)) continue;
    for (const ChainElement& element : chain.writable()) {
      const size_t skipped = std::min(skip, element.span.size());
      const size_t here = std::min(size - done, element.span.size() - skipped);
      copy(element.span, skipped, here, done);
      skip -= skipped;
      done += here;
    }
  }
}

void ReceiveWindow::CopyInSlow(const Place& place,
                               absl::Span<const uint8_t> bytes) {
  Walk(
      place, bytes.size(),
      [bytes](const memory::GuestSpan& span, size_t offset, size_t here,
              size_t done) { span.CopyIn(offset, bytes.subspan(done, here)); });
}

void ReceiveWindow::CopyOut(const Place& place, absl::Span<uint8_t> bytes) {
  Walk(place, bytes.size(),
       [bytes](const memory::GuestSpan& span, size_t offset, size_t here,
               size_t done) {
         span.CopyOut(offset, bytes.subspan(done, here));
       });
}

void ReceiveWindow::ReleaseData(const DescriptorChain& chain) {
  if (IsHeaderBuffer(chain)) return;
  data_bytes_ -= chain.writable_bytes();
  data_row_.Drop(chain.writable().size());
}

}  // namespace annulus::virtio
