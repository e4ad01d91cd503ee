#include "devices/virtio/net/receive/received_frame.h"

#include <algorithm>
#include <cstring>

#include "devices/virtio/net/backend/frame_copy.h"

namespace annulus::virtio {

ReceivedFrame::ReceivedFrame()
    : overflow_(std::make_unique<uint8_t[]>(kOverflowBytes)),
      aside_(std::make_unique<uint8_t[]>(kMaxSplitHeaderBytes)) {}

// Hot.
absl::Span<const iovec> ReceivedFrame::ReadPrivately(ReceiveWindow& window) {
  where_ = Where::kPrivate;
  aside_bytes_ = 0;
  private_ = overflow_.get();
  return window.Overflow();
}

absl::Span<const iovec> ReceivedFrame::ReadAside(ReceiveWindow& window,
                                                 SplitMethod method,
                                                 uint32_t aside) {
  ANNULUS_DCHECK(aside <= kMaxSplitHeaderBytes);
  where_ = Where::kAside;
  aside_bytes_ = aside;
  const absl::Span<uint8_t> place(aside_.get(), aside);
  switch (method) {
    case SplitMethod::kChain:
      rest_ = {.offset = static_cast<uint32_t>(
                   window.front().writable()[0].span.size())};
      return window.BehindElement(place);
    case SplitMethod::kBuffers:
      rest_ = {.buffer = 1};
      return window.BehindBuffer(place);
    case SplitMethod::kSmallBuffers:
      rest_ = {.buffer = 1, .data_buffers_only = true};
      return window.InDataBuffers(place);
    case SplitMethod::kHeaderQueue:
      rest_ = {.offset = window.header_bytes()};
      return window.BehindHeader(place);
  }
  return {};
}

absl::Span<const uint8_t> ReceivedFrame::Prefix(absl::Span<const iovec> vectors,
                                                size_t count) {
  ANNULUS_DCHECK(count <= kMaxSplitHeaderBytes);
  const size_t wanted = std::min<size_t>(count, bytes_);
  if (where_ != Where::kPrivate && prefix_bytes_ < wanted) {
    // What is there already stays as it was looked at.
    prefix_bytes_ += static_cast<uint32_t>(
        GatherFrame(vectors, aside_.get() + prefix_bytes_,
                    wanted - prefix_bytes_, /*skip=*/prefix_bytes_));
  }
  return KnownPrefix().first(wanted);
}

// Cold where predictions are right.
void ReceivedFrame::MakePrivate(ReceiveWindow& window) {
  if (is_private()) return;
  std::memmove(overflow_.get() + placed_, overflow_.get(), bytes_ - placed_);
  const absl::Span<uint8_t> placed(overflow_.get(), placed_);
  if (where_ == Where::kWhole) {
    window.CopyOut({.offset = window.header_bytes()}, placed);
  } else {
    window.CopyOut(rest_, placed.subspan(aside_bytes_));
  }
  std::copy_n(aside_.get(), prefix_bytes_, overflow_.get());
  where_ = Where::kPrivate;
  private_ = overflow_.get();
}

bool ReceivedFrame::FinishWholeSlow(ReceiveWindow& window) {
  const uint32_t header_bytes = window.header_bytes();
  if (where_ == Where::kWhole) {
    if (bytes_ > placed_) {
      window.CopyIn({.offset = header_bytes + placed_},
                    {overflow_.get(), bytes_ - placed_});
    }
    return true;
  }
  // The bytes aside are just those that have room before the others.
  if (where_ == Where::kAside && bytes_ == placed_ &&
      rest_ == ReceiveWindow::Place{.offset = header_bytes + aside_bytes_}) {
    window.CopyIn({.offset = header_bytes}, {aside_.get(), aside_bytes_});
    return true;
  }
  MakePrivate(window);
  window.CopyIn({.offset = header_bytes}, {private_, bytes_});
  return false;
}

void ReceivedFrame::FinishSplitSlow(ReceiveWindow& window,
                                    const ReceiveWindow::Place& payload,
                                    uint32_t header_bytes) {
  MakePrivate(window);
  window.CopyIn(payload, {private_ + header_bytes, bytes_ - header_bytes});
}

}  // namespace annulus::virtio
