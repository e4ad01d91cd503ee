#include "devices/virtio/net/receive/receive_queue.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "base/clock.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "memory/shared_access.h"

namespace annulus::virtio {
namespace {

// Frames that one step gives away where nothing is to be looked at: what they
// were copied to is in the first-level cache still.
constexpr uint32_t kPlainBatch = 32;

}  // namespace

ReceiveQueue::ReceiveQueue(uint16_t pair, NetBackendQueue& backend,
                           const NetSettingsStore& settings,
                           const NetOptions& options, QueueCounters& counters)
    : pair_(pair),
      backend_(backend),
      reader_(settings),
      gate_(options.receive_limit),
      numbers_(options.header_split.numbers),
      counters_(counters),
      window_(options.queue_size, absl::MakeSpan(header_), frame_.overflow()),
      splitter_(counters.split) {}

void ReceiveQueue::SetFeatures(const FeatureSet& negotiated) {
  features_ = negotiated;
  header_bytes_ = DriverHeaderBytes(negotiated, numbers_);
}

void ReceiveQueue::QueueStarted(Virtqueue& /*queue*/) {
  window_.Restart(header_bytes_, features_.Has(kNetMrgRxbuf));
  driver_header_ = {};
  gone_ = false;
  settings_ = nullptr;
  frame_.Forget();
}

void ReceiveQueue::QueueStopped() {
  splitter_.TurnOff();
  window_.Restart(header_bytes_, features_.Has(kNetMrgRxbuf));
  frame_.Forget();
}

// Hot.
bool ReceiveQueue::Drain(Virtqueue& queue) {
  const bool more =
      TakeSettings(reader_.Begin(), queue.memory()) &&
      queue.Visit([this](auto& format) { return DrainQueue(format); });
  reader_.End();
  counters_.frames.Add(received_frames_);
  counters_.bytes.Add(received_bytes_);
  counters_.CountBatch(received_frames_);
  received_frames_ = 0;
  received_bytes_ = 0;
  return more;
}

// Settings hold for each frame that is processed after they were published.
// False: nothing is to be received by them.
bool ReceiveQueue::TakeSettings(const NetSettings& newest,
                                const memory::GuestMemory& memory) {
  if (ABSL_PREDICT_FALSE(&newest != settings_)) {
    settings_ = &newest;
    ApplySettings(memory);
  }
  if (ABSL_PREDICT_TRUE(pair_ < settings_->active_pairs)) return true;
  // "the device MUST NOT queue packets on receive queues greater than this"
  // (§5.1.6.5.6.2). Until the settings change, which wakes the worker.
  frame_.Forget();
  wait_ = {.buffers = false};
  return false;
}

void ReceiveQueue::ApplySettings(const memory::GuestMemory& memory) {
  rules_ = ReceiveRules(settings_->receive_offloads);
  filters_ = !settings_->filter.accepts_everything();
  // Without room for it in the header, nobody asks for the hash here.
  hashes_ = features_.Has(kNetHashReport) && settings_->rss.hashes();
  if (!settings_->rss.hashes()) EncodeHash({});
  const bool was_on = splitter_.on();
  const bool kept_hold = splitter_.keeps_hold();
  if (!frame_.empty()) frame_.MakePrivate(window_);  // Read for other settings.
  const std::shared_ptr<HeaderQueue>& header_queue =
      settings_->header_queues.by_pair[pair_];
  if (settings_->split.types == 0 && header_queue == nullptr) {
    splitter_.TurnOff();
    window_.SetHeaderBufferBytes(0);
  } else {
    splitter_.Configure(settings_->split, header_queue, memory, window_);
  }
  if (frame_.empty() || !splitter_.on()) return;
  if (splitter_.keeps_hold() && !kept_hold) {
    splitter_.PassOver();  // It was read to where the hold would be.
  } else if (!was_on) {
    splitter_.Examine(frame_, {}, checked_header_);
  }
}

template <typename Queue>
bool ReceiveQueue::DrainQueue(Queue& queue) {
  wait_ = {};
  unplugged_ = !link_up_.load(std::memory_order_relaxed);
  bool tries_plain = true;
  for (uint32_t i = 0; i < kBatch; ++i) {
    if (frame_.empty()) {
      if (!TakeSettings(reader_.Refresh(), queue.memory())) return false;
      const Step buffer = FindBuffer(queue);
      if (ABSL_PREDICT_FALSE(buffer != Step::kDone)) {
        if (buffer == Step::kMustWait) return false;
        continue;  // It was too short.
      }
      if (tries_plain && DeliversAllAsItIs()) {
        const uint32_t count = ReceivePlain(queue, kBatch - i);
        tries_plain = count != 0;
        if (count != 0) i += count - 1;
        continue;
      }
      if (ReceiveFrame() == Step::kMustWait) return false;
      if (frame_.empty()) continue;  // It was dropped.
    }
    if (Deliver(queue) == Step::kMustWait) return false;
  }
  return true;
}

// Whether the window's first buffer is one to receive into; one that is too
// short goes back, as a step of its own: the driver may make more of these
// available meanwhile, for ever.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::FindBuffer(Queue& queue) {
  if (window_.wants_more()) window_.Fill(queue);
  // "each buffer MUST be at least size of struct virtio_net_hdr" (§5.1.6.3.1);
  // one that is of no use for any frame must not stand in the way.
  const uint32_t least =
      header_bytes_ + (window_.mergeable() ? 0 : kEthernetHeaderBytes);
  if (window_.empty()) return Step::kMustWait;
  if (ABSL_PREDICT_TRUE(window_.front().writable_bytes() >= least)) {
    return Step::kDone;
  }
  queue.Push(window_.front(), 0);
  window_.ReleaseFront();
  counters_.short_buffers.Add(1);
  return Step::kTooShort;
}

// Whether nothing is to be known of a frame but its length, as long as it comes
// without a header of its own.
bool ReceiveQueue::DeliversAllAsItIs() const {
  return !filters_ && header_bytes_ == kNetHeaderBytes && !splitter_.on() &&
         !gate_.limited() && !gone_ && !unplugged_;
}

// Frames that the backend has in memory, each into a buffer of one element, as
// the usual driver makes them available: the same as frame by frame, in fewer
// steps. Returns how many; 0: they are to be received one by one.
template <typename Queue>
uint32_t ReceiveQueue::ReceivePlain(Queue& queue, uint32_t most) {
  const absl::Span<const iovec> rooms =
      window_.SingleElements(std::min(most, kPlainBatch));
  if (rooms.empty()) return 0;
  // Where frames begin: all of the lines are under way while the first is
  // written.
  for (const iovec& room : rooms) {
    memory::PrefetchForWrite(std::bit_cast<uintptr_t>(room.iov_base) +
                             kNetHeaderBytes);
  }
  std::array<uint32_t, kPlainBatch> bytes;
  const uint32_t count = backend_.CopyPlain(rooms, absl::MakeSpan(bytes));
  if (count == 0) return 0;
  // Settings that came meanwhile hold for frames that came behind them.
  if (ABSL_PREDICT_FALSE(&reader_.Refresh() != settings_)) {
    settings_ = nullptr;  // The old ones may be gone.
    return 0;
  }
  backend_.TakeCopied();
  uint64_t room_bytes = 0;
  for (uint32_t i = 0; i < count; ++i) {
    DescriptorChain& chain = window_.at(i);
    room_bytes += chain.writable_bytes();
    received_bytes_ += bytes[i] - kNetHeaderBytes;
    queue.Push(chain, bytes[i]);
  }
  window_.ReleaseSingleElements(count, room_bytes);
  received_frames_ += count;
  return count;
}

// Sets frame_ if there was a frame and the driver wants it.
ReceiveQueue::Step ReceiveQueue::ReceiveFrame() {
  if (ABSL_PREDICT_FALSE(gone_)) {
    wait_.buffers = false;
    return Step::kMustWait;
  }
  const absl::Span<const iovec> vectors = splitter_.on()
                                              ? splitter_.Read(frame_, window_)
                                              : frame_.ReadWhole(window_);
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
  if (ABSL_PREDICT_FALSE(
          transfer.bytes < kNetHeaderBytes + kEthernetHeaderBytes ||
          transfer.bytes > kNetHeaderBytes + kNetMaxFrameBytes)) {
    counters_.Drop(NetDrop::kMalformed);
    return Step::kDone;
  }
  if (ABSL_PREDICT_FALSE(unplugged_)) {
    counters_.Drop(NetDrop::kLinkDown);
    return Step::kDone;
  }
  frame_.Received(transfer.bytes - static_cast<uint32_t>(kNetHeaderBytes),
                  window_);
  paid_ = false;
  patience_ends_ = 0;
  if (!Judge(vectors.subspan(1))) {
    frame_.Forget();
  } else if (splitter_.on()) {
    splitter_.Examine(frame_, vectors.subspan(1), checked_header_);
  }
  return Step::kDone;
}

// Whether the driver is to have the frame. `vectors` are the frame's.
bool ReceiveQueue::Judge(absl::Span<const iovec> vectors) {
  if (IsPlainNetHeader(header_)) {
    checked_header_ = {.num_buffers = 1};
    std::copy(kPlainReceiveHeader.begin(), kPlainReceiveHeader.end(),
              driver_header_.begin());
  } else {
    checked_header_ = DecodeNetHeader(header_);
    if (ABSL_PREDICT_FALSE(
            !CheckNetHeader(rules_, frame_.bytes(), checked_header_))) {
      counters_.Drop(NetDrop::kOffload);
      return false;
    }
    checked_header_.num_buffers = 1;
    EncodeNetHeader(checked_header_, absl::MakeSpan(driver_header_));
  }
  if (ABSL_PREDICT_TRUE(!filters_ && !hashes_)) return true;
  return JudgeContent(vectors);
}

// The same by its content.
bool ReceiveQueue::JudgeContent(absl::Span<const iovec> vectors) {
  const absl::Span<const uint8_t> prefix =
      frame_.Prefix(vectors, kFlowPrefixBytes);
  if (filters_ && !settings_->filter.Accepts(prefix)) {
    counters_.Drop(NetDrop::kFiltered);
    return false;
  }
  if (hashes_) EncodeHash(settings_->rss.Hash(prefix));
  return true;
}

// Gives the frame in hand to the driver, or drops it.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::Deliver(Queue& queue) {
  if (!paid_ &&
      ABSL_PREDICT_FALSE(!gate_.Pass(frame_.bytes(), wait_.deadline_ns))) {
    wait_.buffers = false;
    return Step::kMustWait;
  }
  paid_ = true;
  const Step step = ABSL_PREDICT_FALSE(splitter_.on()) ? DeliverAsDecided(queue)
                                                       : DeliverWhole(queue);
  if (ABSL_PREDICT_FALSE(step == Step::kMustWait)) return step;
  if (ABSL_PREDICT_FALSE(frame_.empty())) return step;  // It was dropped.
  ++received_frames_;
  received_bytes_ += frame_.bytes();
  frame_.Forget();
  return step;
}

// By the base rules; forgets the frame if it had to be dropped. Sets in_place_.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::DeliverWhole(Queue& queue) {
  if (ABSL_PREDICT_FALSE(uint64_t{header_bytes_} + frame_.bytes() >
                         window_.room()) &&
      !FindRoom(queue)) {
    if (patience_ends_ != 0) return Step::kMustWait;
    frame_.Forget();
    return Step::kDone;
  }
  in_place_ = frame_.FinishWhole(window_);
  Use(queue, PlaceWhole(window_, frame_.bytes()));
  return Step::kDone;
}

// The same, if it is not to be split.
template <typename Queue>
ReceiveQueue::Step ReceiveQueue::DeliverAsDecided(Queue& queue) {
  const SplitDecision decision = Decide(queue);
  if (decision.verdict == SplitDecision::Verdict::kSplit) {
    in_place_ = FinishSplit(decision);
    Use(queue, decision.placement);
    // Nothing is said of a slot where there is none.
    if (features_.Has(numbers_.header_queue_feature)) EncodeSlot(0, 0);
  } else {
    const Step step = DeliverWhole(queue);
    if (step == Step::kMustWait || frame_.empty()) return step;
  }
  splitter_.Delivered(frame_, decision, in_place_);
  return Step::kDone;
}

// Of the buffers that the driver has made available by now.
template <typename Queue>
SplitDecision ReceiveQueue::Decide(Queue& queue) {
  SplitDecision decision = splitter_.Decide(frame_, window_);
  if (ABSL_PREDICT_FALSE(decision.verdict ==
                         SplitDecision::Verdict::kNoSpace) &&
      window_.wants_more() && window_.Fill(queue) != 0) {
    decision = splitter_.Decide(frame_, window_);
  }
  return decision;
}

// Puts a frame where it was decided to go, and says so in the driver's header:
// "hdr_len is exact if and only if the packet was split".
bool ReceiveQueue::FinishSplit(const SplitDecision& decision) {
  const absl::Span<const uint8_t> header =
      frame_.KnownPrefix().first(decision.header_bytes);
  if (splitter_.WriteToSlot(decision, header)) {
    EncodeSlot(decision.slot, splitter_.header_queue_id());
  } else {
    window_.CopyIn({.offset = header_bytes_}, header);
  }
  driver_header_[0] |= numbers_.header_flag;  // flags, and hdr_len:
  driver_header_[2] = static_cast<uint8_t>(decision.header_bytes);
  driver_header_[3] = static_cast<uint8_t>(decision.header_bytes >> 8);
  return frame_.FinishSplit(window_, decision.placement.payload,
                            decision.header_bytes);
}

// "The device MUST use all buffers used by a single receive packet together"
// (§5.1.6.4.1). The worker publishes them together.
template <typename Queue>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ReceiveQueue::Use(
    Queue& queue, const Placement& placement) {
  // One is there already: where that is all, the copy need not wait for bytes
  // that were only just written.
  if (placement.buffers != 1) {
    driver_header_[10] = static_cast<uint8_t>(placement.buffers);
    driver_header_[11] = static_cast<uint8_t>(placement.buffers >> 8);
  }
  window_.CopyIn({}, absl::MakeConstSpan(driver_header_).first(header_bytes_));
  for (uint32_t i = 0; i < placement.buffers; ++i) {
    DescriptorChain& chain = window_.front();
    queue.Push(chain, UsedBytes(window_, placement, i, chain));
    window_.ReleaseFront();
  }
}

// Whether there are buffers for all of the frame in hand, as it is. If not, it
// waits for more of them, or is dropped, which patience_ends_ says.
template <typename Queue>
bool ReceiveQueue::FindRoom(Queue& queue) {
  if (window_.mergeable()) {
    // Asked before Fill(): what comes while that looks is no sign of anything.
    const bool available = queue.HasAvailable();
    const uint32_t more = window_.Fill(queue);
    if (uint64_t{header_bytes_} + frame_.bytes() <= window_.room()) return true;
    const int64_t now = MonotonicNanoseconds();
    if (patience_ends_ == 0) patience_ends_ = now + kPatienceNs;
    // Buffers that have come without room to hold them would wake us at once.
    const bool full = available && more == 0;
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

void ReceiveQueue::EncodeHash(const FlowHash& hash) {
  for (size_t i = 0; i < 4; ++i) {
    driver_header_[12 + i] = static_cast<uint8_t>(hash.value >> 8 * i);
  }
  driver_header_[16] = static_cast<uint8_t>(hash.report);
  driver_header_[17] = static_cast<uint8_t>(hash.report >> 8);
}

// hdr_buf_index and hdr_buf_id, behind all other fields.
void ReceiveQueue::EncodeSlot(uint16_t index, uint16_t id) {
  uint8_t* const fields =
      driver_header_.data() + header_bytes_ - kNetHeaderQueueFieldBytes;
  fields[0] = static_cast<uint8_t>(index);
  fields[1] = static_cast<uint8_t>(index >> 8);
  fields[2] = static_cast<uint8_t>(id);
  fields[3] = static_cast<uint8_t>(id >> 8);
}

}  // namespace annulus::virtio
