#include "devices/virtio/net/transmit/transmit_queue.h"

#include <poll.h>

#include <algorithm>
#include <cstring>

#include "absl/base/optimization.h"
#include "base/check.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {
TransmitQueue::TransmitQueue(NetBackendQueue& backend,
                             const NetOptions& options, QueueCounters& counters)
    : backend_(backend),
      gate_(options.transmit_limit),
      numbers_(options.header_split.numbers),
      counters_(counters),
      batch_(kBatch, options.queue_size),
      copy_(std::make_unique<uint8_t[]>(kNetMaxFrameBytes)) {
  vectors_[0] = {header_.data(), header_.size()};
}

void TransmitQueue::SetFeatures(const FeatureSet& negotiated) {
  rules_ = TransmitRules(negotiated);
  header_bytes_ = DriverHeaderBytes(negotiated, numbers_);
}

void TransmitQueue::QueueStarted(Virtqueue& queue) {
  queue.ReadOnly();
  batch_.Abandon();
  gone_ = false;
  paid_ = false;
}

void TransmitQueue::QueueStopped() {
  batch_.Abandon();
  announcement_.Abandon();
}

void TransmitQueue::SendAnnouncement() {
  if (!announcement_.pending()) return;
  (void)announcement_.SendTo(backend_);
  backend_.Flush();
  announcement_.Abandon();
}

// Hot.
bool TransmitQueue::Drain(Virtqueue& queue) {
  const bool more =
      queue.Visit([this](auto& format) { return DrainQueue(format); });
  counters_.frames.Add(sent_frames_);
  counters_.bytes.Add(sent_bytes_);
  sent_frames_ = 0;
  sent_bytes_ = 0;
  return more;
}

template <typename Queue>
bool TransmitQueue::DrainQueue(Queue& queue) {
  wait_ = {};
  unplugged_ = !link_up_.load(std::memory_order_relaxed);
  if (batch_.chains().empty()) {
    if (ABSL_PREDICT_FALSE(announcement_.pending()) && !unplugged_ &&
        !Announce()) {
      return false;
    }
    if (queue.Take(batch_) == 0) return false;
    counters_.CountBatch(static_cast<uint32_t>(batch_.chains().size()));
  }
  return SendBatch(queue);
}

// False: the rest of the batch has to wait.
template <typename Queue>
bool TransmitQueue::SendBatch(Queue& queue) {
  const absl::Span<DescriptorChain> chains = batch_.chains();
  uint32_t done = 0;
  bool tries_plain = true;
  while (done < chains.size()) {
    if (tries_plain && SendsAllAsItIs()) {
      const PlainRun run = SendPlain(queue, chains.subspan(done));
      done += run.sent;
      if (done == chains.size()) break;
      tries_plain = run.plain == 0 || run.sent != 0;  // Else it takes none so.
    }
    DescriptorChain& chain = chains.data()[done];
    if (!Send(chain)) break;
    // "The driver MUST NOT [...] device-writable": nothing is written.
    queue.Push(chain, 0);
    ++done;
  }
  backend_.Flush();
  const bool blocked = done < chains.size();
  batch_.Release(done);
  return !blocked;
}

// Frames that ask for nothing, as the first of `chains` are, for a backend that
// takes many at once: the same as frame by frame, in fewer steps. How many
// there are, and how many of them were sent: the next one goes by itself.
template <typename Queue>
TransmitQueue::PlainRun TransmitQueue::SendPlain(
    Queue& queue, absl::Span<DescriptorChain> chains) {
  static_assert(kBatch <= kMaxVectors);
  iovec* const frames = vectors_.data() + 1;
  size_t count = 0;
  while (count < chains.size() && TakePlain(chains[count], frames[count])) {
    ++count;
  }
  if (count == 0) return {};
  const uint32_t sent = backend_.SendPlain(absl::MakeConstSpan(frames, count));
  ANNULUS_DCHECK(sent <= count);
  for (uint32_t i = 0; i < sent; ++i) {
    sent_bytes_ += frames[i].iov_len;
    queue.Push(chains[i], 0);
  }
  sent_frames_ += sent;
  return {.plain = static_cast<uint32_t>(count), .sent = sent};
}

// Whether a buffer is a frame that asks for nothing, in one piece: `frame`,
// which its header comes directly before, or as an element of its own.
bool TransmitQueue::TakePlain(const DescriptorChain& chain,
                              iovec& frame) const {
  const absl::Span<const ChainElement> elements = chain.readable();
  const uint32_t bytes = chain.readable_bytes();
  if (elements.empty() || elements.size() > 2 ||
      bytes < header_bytes_ + kEthernetHeaderBytes ||
      bytes - header_bytes_ > kNetMaxFrameBytes) {
    return false;
  }
  const memory::GuestSpan& first = elements.data()[0].span;
  if (elements.size() == 1) {
    frame = first.Subspan(header_bytes_, bytes - header_bytes_).AsIovec();
  } else if (first.size() == header_bytes_) {
    frame = elements.data()[1].span.AsIovec();
  } else {
    return false;
  }
  // Read here and nowhere else, as in CopyHeader().
  std::array<uint8_t, kNetHeaderBytes> header;
  first.CopyOut(0, absl::MakeSpan(header));
  return IsPlainNetHeader(header);
}

// False: it has to wait.
bool TransmitQueue::Announce() {
  if (gone_) {
    announcement_.Abandon();
    announcement_.Clear();
    return true;
  }
  const TransferStatus status = announcement_.SendTo(backend_);
  backend_.Flush();
  switch (status) {
    case TransferStatus::kAgain:
      wait_.buffers = false;
      wait_.fds[0] = {backend_.writable_fd(), POLLOUT, 0};
      return false;
    case TransferStatus::kGone:
      gone_ = true;
      break;
    case TransferStatus::kDone:
    case TransferStatus::kDropped:
      break;
  }
  return true;
}

// Sends or drops one frame. False: neither is possible now; wait_ says until
// when.
bool TransmitQueue::Send(const DescriptorChain& chain) {
  if (ABSL_PREDICT_FALSE(!Prepare(chain))) {
    counters_.Drop(NetDrop::kMalformed);
    return true;
  }
  if (ABSL_PREDICT_FALSE(gone_)) {
    counters_.Drop(NetDrop::kBackend);
    return true;
  }
  if (ABSL_PREDICT_FALSE(unplugged_) && !paid_) {
    counters_.Drop(NetDrop::kLinkDown);
    return true;
  }
  // A frame that the backend sent back into the queue has paid.
  if (!paid_ &&
      ABSL_PREDICT_FALSE(!gate_.Pass(frame_bytes_, wait_.deadline_ns))) {
    wait_.buffers = false;
    return false;
  }
  paid_ = false;
  const Transfer transfer =
      backend_.Send(absl::MakeConstSpan(vectors_.data(), vector_count_),
                    static_cast<uint32_t>(kNetHeaderBytes) + frame_bytes_);
  switch (transfer.status) {
    case TransferStatus::kDone:
      ++sent_frames_;
      sent_bytes_ += frame_bytes_;
      return true;
    case TransferStatus::kAgain:
      paid_ = true;
      wait_.buffers = false;
      wait_.fds[0] = {backend_.writable_fd(), POLLOUT, 0};
      return false;
    case TransferStatus::kGone:
      gone_ = true;
      break;
    case TransferStatus::kDropped:
      break;
  }
  counters_.Drop(NetDrop::kBackend);
  return true;
}

// Makes vectors_ and frame_bytes_ of a buffer. False: it is no frame.
bool TransmitQueue::Prepare(const DescriptorChain& chain) {
  const uint32_t bytes = chain.readable_bytes();
  if (bytes < header_bytes_ + kEthernetHeaderBytes ||
      bytes - header_bytes_ > kNetMaxFrameBytes) {
    return false;
  }
  frame_bytes_ = bytes - header_bytes_;
  if (!CopyHeader(chain)) return false;
  if (ABSL_PREDICT_TRUE(chain.readable().size() <= kMaxVectors)) {
    CollectVectors(chain);
  } else {
    CollectCopy(chain);
  }
  return true;
}

// The header is read here and nowhere else: what the driver makes of it later
// has no effect.
bool TransmitQueue::CopyHeader(const DescriptorChain& chain) {
  size_t have = 0;
  for (const ChainElement& element : chain.readable()) {
    const size_t bytes = std::min(element.span.size(), kNetHeaderBytes - have);
    element.span.CopyOut(0, absl::MakeSpan(header_).subspan(have, bytes));
    have += bytes;
    if (have == kNetHeaderBytes) break;
  }
  if (IsPlainNetHeader(header_)) {
    header_ = {};  // num_buffers, too.
    return true;
  }
  NetHeader header = DecodeNetHeader(header_);
  if (!CheckNetHeader(rules_, frame_bytes_, header)) return false;
  EncodeNetHeader(header, absl::MakeSpan(header_));
  return true;
}

void TransmitQueue::CollectVectors(const DescriptorChain& chain) {
  size_t skip = header_bytes_;
  size_t count = 1;
  for (const ChainElement& element : chain.readable()) {
    const size_t size = element.span.size();
    if (skip >= size) {
      skip -= size;
      continue;
    }
    vectors_[count++] = element.span.Subspan(skip, size - skip).AsIovec();
    skip = 0;
  }
  vector_count_ = count;
}

void TransmitQueue::CollectCopy(const DescriptorChain& chain) {
  size_t skip = header_bytes_;
  size_t have = 0;
  for (const ChainElement& element : chain.readable()) {
    const size_t size = element.span.size();
    if (skip >= size) {
      skip -= size;
      continue;
    }
    element.span.CopyOut(skip, absl::MakeSpan(copy_.get() + have, size - skip));
    have += size - skip;
    skip = 0;
  }
  ANNULUS_DCHECK(have == frame_bytes_);
  vectors_[1] = {copy_.get(), have};
  vector_count_ = 2;
}

}  // namespace annulus::virtio
