#include "devices/virtio/net/receive/receive_queue.h"

#include <poll.h>

#include <algorithm>

#include "absl/base/optimization.h"
#include "base/clock.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kEthernetHeaderBytes = 14;

}  // namespace

ReceiveQueue::ReceiveQueue(uint16_t pair, NetBackendQueue& backend,
                           const NetSettingsStore& settings,
                           const RateLimit& limit, uint16_t max_queue_size,
                           QueueCounters& counters)
    : pair_(pair),
      backend_(backend),
      reader_(settings),
      gate_(limit),
      counters_(counters),
      overflow_(std::make_unique<uint8_t[]>(kNetMaxFrameBytes)),
      window_(max_queue_size, absl::MakeSpan(header_),
              absl::MakeSpan(overflow_.get(), kNetMaxFrameBytes)) {}

void ReceiveQueue::SetFeatures(const FeatureSet& negotiated) {
  features_ = negotiated;
  header_bytes_ = static_cast<uint32_t>(
      negotiated.Has(kNetHashReport) ? kNetHeaderHashBytes : kNetHeaderBytes);
}

void ReceiveQueue::QueueStarted(Virtqueue& /*queue*/) {
  window_.Restart(header_bytes_, features_.Has(kNetMrgRxbuf));
  gone_ = false;
  frame_bytes_ = 0;
}

void ReceiveQueue::QueueStopped() {
  window_.Restart(header_bytes_, features_.Has(kNetMrgRxbuf));
  frame_bytes_ = 0;
}

// Hot.
bool ReceiveQueue::Drain(Virtqueue& queue) {
  settings_ = &reader_.Refresh();
  if (ABSL_PREDICT_FALSE(pair_ >= settings_->active_pairs)) {
    // "the device MUST NOT queue packets on receive queues greater than this"
    // (§5.1.6.5.6.2). Until the settings change, which wakes the worker.
    frame_bytes_ = 0;
    wait_ = {.buffers = false};
    return false;
  }
  rules_ = ReceiveRules(settings_->receive_offloads);
  if (!settings_->rss.hashes()) EncodeHash({});
  const bool more =
      queue.Visit([this](auto& format) { return DrainQueue(format); });
  counters_.frames.Add(received_frames_);
  counters_.bytes.Add(received_bytes_);
  counters_.CountBatch(received_frames_);
  received_frames_ = 0;
  received_bytes_ = 0;
  return more;
}

template <typename Queue>
bool ReceiveQueue::DrainQueue(Queue& queue) {
  wait_ = {};
  for (uint32_t i = 0; i < kBatch; ++i) {
    if (frame_bytes_ == 0) {
      if (FindBuffer(queue) == Step::kMustWait) return false;
      if (ReceiveFrame() == Step::kMustWait) return false;
      if (frame_bytes_ == 0) continue;  // It was dropped.
    }
    if (Deliver(queue) == Step::kMustWait) return false;
  }
  return true;
}

// Makes sure that the window's first buffer is one to receive into.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::FindBuffer(Queue& queue) {
  if (window_.wants_more()) window_.Fill(queue);
  // "each buffer MUST be at least size of struct virtio_net_hdr" (§5.1.6.3.1);
  // one that is of no use for any frame must not stand in the way.
  const uint32_t least =
      header_bytes_ + (window_.mergeable() ? 0 : kEthernetHeaderBytes);
  while (!window_.empty() &&
         ABSL_PREDICT_FALSE(window_.front().writable_bytes() < least)) {
    queue.Push(window_.front(), 0);
    window_.Release(1);
    counters_.short_buffers.Add(1);
    if (window_.empty()) window_.Fill(queue);
  }
  return window_.empty() ? Step::kMustWait : Step::kDone;
}

// Sets frame_bytes_ if there was a frame and the driver wants it.
ReceiveQueue::Step ReceiveQueue::ReceiveFrame() {
  if (ABSL_PREDICT_FALSE(gone_)) {
    wait_.buffers = false;
    return Step::kMustWait;
  }
  const absl::Span<const iovec> vectors = window_.Vectors();
  const Transfer transfer = backend_.Receive(vectors);
  switch (transfer.status) {
    case TransferStatus::kDone:
      break;
    case TransferStatus::kAgain:
      wait_.buffers = false;
      wait_.fds[0] = {backend_.readable_fd(), POLLIN, 0};
      return Step::kMustWait;
    case TransferStatus::kDropped:
      counters_.Drop(NetDrop::kBackend);
      return Step::kDone;
    case TransferStatus::kGone:
      gone_ = true;
      return Step::kDone;
  }
  if (ABSL_PREDICT_FALSE(transfer.bytes <
                         kNetHeaderBytes + kEthernetHeaderBytes)) {
    counters_.Drop(NetDrop::kMalformed);
    return Step::kDone;
  }
  frame_bytes_ = transfer.bytes - static_cast<uint32_t>(kNetHeaderBytes);
  if (!Judge(vectors.subspan(1))) frame_bytes_ = 0;
  paid_ = false;
  patience_ends_ = 0;
  return Step::kDone;
}

// Whether the driver is to have the frame. `vectors` are the frame's.
bool ReceiveQueue::Judge(absl::Span<const iovec> vectors) {
  if (ABSL_PREDICT_FALSE(frame_bytes_ > kNetMaxFrameBytes)) {
    counters_.Drop(NetDrop::kMalformed);
    return false;
  }
  if (IsPlainNetHeader(header_)) {
    std::fill_n(driver_header_.begin(), kNetHeaderBytes, uint8_t{0});
  } else {
    NetHeader header = DecodeNetHeader(header_);
    if (ABSL_PREDICT_FALSE(!CheckNetHeader(rules_, frame_bytes_, header))) {
      counters_.Drop(NetDrop::kOffload);
      return false;
    }
    EncodeNetHeader(header, absl::MakeSpan(driver_header_));
  }
  const bool filters = !settings_->filter.accepts_everything();
  // Without room for it in the header, nobody asks for the hash here.
  const bool hashes =
      header_bytes_ == kNetHeaderHashBytes && settings_->rss.hashes();
  if (!filters && !hashes) return true;
  const absl::Span<const uint8_t> prefix(
      prefix_.data(),
      GatherFrame(vectors, prefix_.data(),
                  std::min<size_t>(frame_bytes_, prefix_.size())));
  if (filters && !settings_->filter.Accepts(prefix)) {
    counters_.Drop(NetDrop::kFiltered);
    return false;
  }
  if (hashes) EncodeHash(settings_->rss.Hash(prefix));
  return true;
}

// Gives the frame in hand to the driver, or drops it.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::Deliver(Queue& queue) {
  if (!paid_ &&
      ABSL_PREDICT_FALSE(!gate_.Pass(frame_bytes_, wait_.deadline_ns))) {
    wait_.buffers = false;
    return Step::kMustWait;
  }
  paid_ = true;
  if (ABSL_PREDICT_FALSE(frame_bytes_ > window_.offered())) {
    if (!FindRoom(queue)) {
      if (patience_ends_ != 0) return Step::kMustWait;
      frame_bytes_ = 0;
      return Step::kDone;
    }
    window_.PlaceOverflow(frame_bytes_);
  }
  const ReceiveWindow::Extent extent = window_.Measure(frame_bytes_);
  // "The device MUST use all buffers used by a single receive packet together"
  // and "all buffers but the last [...] completely" (§5.1.6.4.1). The worker
  // publishes them together.
  WriteHeader(static_cast<uint16_t>(extent.buffers));
  for (uint32_t i = 0; i < extent.buffers; ++i) {
    DescriptorChain& chain = window_.at(i);
    queue.Push(chain, i + 1 == extent.buffers ? extent.last_bytes
                                              : chain.writable_bytes());
  }
  window_.Release(extent.buffers);
  ++received_frames_;
  received_bytes_ += frame_bytes_;
  frame_bytes_ = 0;
  return Step::kDone;
}

// Whether there are buffers for all of the frame in hand. If not, it waits for
// more of them, or is dropped, which patience_ends_ says.
template <typename Queue>
bool ReceiveQueue::FindRoom(Queue& queue) {
  if (window_.mergeable()) {
    const uint32_t more = window_.Fill(queue);
    if (frame_bytes_ <= window_.room()) return true;
    const int64_t now = MonotonicNanoseconds();
    if (patience_ends_ == 0) patience_ends_ = now + kPatienceNs;
    // Buffers that have come without room to hold them would wake us at once.
    const bool full = more == 0 && queue.HasAvailable();
    if (now < patience_ends_ && !full) {
      wait_.buffers = true;
      wait_.deadline_ns = patience_ends_;
      return false;
    }
  }
  patience_ends_ = 0;
  counters_.Drop(NetDrop::kNoRoom);
  return false;
}

// Into the first buffer, however it is split.
void ReceiveQueue::WriteHeader(uint16_t num_buffers) {
  driver_header_[10] = static_cast<uint8_t>(num_buffers);
  driver_header_[11] = static_cast<uint8_t>(num_buffers >> 8);
  const absl::Span<const uint8_t> header =
      absl::MakeConstSpan(driver_header_).first(header_bytes_);
  const absl::Span<const ChainElement> elements = window_.front().writable();
  if (ABSL_PREDICT_TRUE(elements[0].span.size() >= header.size())) {
    elements[0].span.CopyIn(0, header);
    return;
  }
  absl::Span<const uint8_t> rest = header;
  for (size_t i = 0; !rest.empty(); ++i) {
    const size_t here = std::min(elements[i].span.size(), rest.size());
    elements[i].span.CopyIn(0, rest.first(here));
    rest.remove_prefix(here);
  }
}

void ReceiveQueue::EncodeHash(const FlowHash& hash) {
  for (size_t i = 0; i < 4; ++i) {
    driver_header_[12 + i] = static_cast<uint8_t>(hash.value >> 8 * i);
  }
  driver_header_[16] = static_cast<uint8_t>(hash.report);
  driver_header_[17] = static_cast<uint8_t>(hash.report >> 8);
}

}  // namespace annulus::virtio
