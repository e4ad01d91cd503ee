#include "devices/virtio/net/header_split/header_splitter.h"

#include <utility>

#include "devices/virtio/net/header_split/buffers_placement.h"
#include "devices/virtio/net/header_split/chain_placement.h"
#include "devices/virtio/net/header_split/slot_placement.h"
#include "devices/virtio/net/header_split/small_buffers_placement.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

void HeaderSplitter::Configure(const SplitSettings& settings,
                               std::shared_ptr<HeaderQueue> header_queue,
                               const memory::GuestMemory& memory,
                               ReceiveWindow& window) {
  slots_.reset();
  header_queue_ = std::move(header_queue);
  uint32_t header_buffer_bytes = 0;
  if (header_queue_ != nullptr) {
    method_ = SplitMethod::kHeaderQueue;
    types_ = header_queue_->config().types;
    threshold_ = header_queue_->config().threshold;
    slots_ = HeaderSlots::Map(*header_queue_, memory);
  } else {
    method_ = settings.method;
    types_ = settings.types;
    threshold_ = settings.threshold;
    if (on() && method_ == SplitMethod::kSmallBuffers) {
      header_buffer_bytes = settings.header_buffer_bytes;
    }
  }
  window.SetHeaderBufferBytes(header_buffer_bytes);
}

void HeaderSplitter::TurnOff() {
  types_ = 0;
  slots_.reset();
  header_queue_.reset();
}

// Whether a frame with such a header may be split, as far as the first buffers
// are concerned.
bool HeaderSplitter::MayBeSplit(ReceiveWindow& window,
                                uint32_t header_bytes) const {
  const uint32_t wanted = window.header_bytes() + header_bytes;
  switch (method_) {
    case SplitMethod::kChain:
      return window.front().writable().size() >= 2 &&
             window.front().writable()[0].span.size() >= wanted;
    case SplitMethod::kBuffers:
      return window.buffers() >= 2 && window.front().writable_bytes() >= wanted;
    case SplitMethod::kSmallBuffers:
      return window.IsHeaderBuffer(window.front()) &&
             window.front().writable_bytes() >= wanted;
    case SplitMethod::kHeaderQueue:
      return slots_.has_value() && header_bytes <= slots_->config().slot_bytes;
  }
  return false;
}

// A: what a frame that is not split after all has in the first element is read
// aside, for if it is split after all, the rest of that element must not have
// been touched. As many bytes as that are; nullopt where the buffer is of no
// use for splitting anyway.
std::optional<uint32_t> HeaderSplitter::AsideForWhole(
    ReceiveWindow& window) const {
  if (method_ != SplitMethod::kChain ||
      !MayBeSplit(window, /*header_bytes=*/1)) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(window.front().writable()[0].span.size() -
                               window.header_bytes());
}

// Hot.
absl::Span<const iovec> HeaderSplitter::Read(ReceivedFrame& frame,
                                             ReceiveWindow& window) {
  const HeaderPredictor::Guess guess = predictor_.Next();
  read_unsure_ = !guess.sure;
  if (read_unsure_) return frame.ReadPrivately(window);
  if (guess.header_bytes != 0) {
    if (MayBeSplit(window, guess.header_bytes)) {
      return frame.ReadAside(window, method_, guess.header_bytes);
    }
    if (method_ == SplitMethod::kBuffers && window.buffers() == 1) {
      // What it takes to split may have come by the time that it is here.
      read_unsure_ = true;
      return frame.ReadPrivately(window);
    }
  }
  const std::optional<uint32_t> aside = AsideForWhole(window);
  if (!aside.has_value()) return frame.ReadWhole(window);
  if (*aside > kMaxSplitHeaderBytes) {
    read_unsure_ = true;
    return frame.ReadPrivately(window);
  }
  return frame.ReadAside(window, method_, *aside);
}

// Hot.
void HeaderSplitter::Examine(ReceivedFrame& frame,
                             absl::Span<const iovec> vectors,
                             const NetHeader& header) {
  point_ = {};
  // What was read aside is enough, if it was predicted well.
  const absl::Span<const uint8_t> known = frame.KnownPrefix();
  if (!known.empty() && FindSplitPoint(known, frame.bytes(), header, point_)) {
    return;
  }
  if (FindSplitPoint(frame.Prefix(vectors, kUsualSplitHeaderBytes),
                     frame.bytes(), header, point_)) {
    return;
  }
  // Enough for all.
  (void)FindSplitPoint(frame.Prefix(vectors, kMaxSplitHeaderBytes),
                       frame.bytes(), header, point_);
}

Placement HeaderSplitter::Place(ReceiveWindow& window, uint32_t header_bytes,
                                uint32_t payload_bytes) const {
  switch (method_) {
    case SplitMethod::kChain:
      return PlaceInChain(window, header_bytes, payload_bytes);
    case SplitMethod::kBuffers:
      return PlaceInBuffers(window, header_bytes, payload_bytes);
    case SplitMethod::kSmallBuffers:
      return PlaceInSmallBuffers(window, header_bytes, payload_bytes);
    case SplitMethod::kHeaderQueue:
      return PlaceBesideSlot(window, slots_->config().slot_bytes, header_bytes,
                             payload_bytes);
  }
  return {};
}

// Hot.
SplitDecision HeaderSplitter::Decide(const ReceivedFrame& frame,
                                     ReceiveWindow& window) {
  using Verdict = SplitDecision::Verdict;
  if ((point_.type & types_) == 0 || frame.bytes() <= threshold_) {
    return {.verdict = Verdict::kNotEligible};
  }
  if (method_ == SplitMethod::kHeaderQueue && !slots_.has_value()) {
    return {.verdict = Verdict::kNoSlot};
  }
  SplitDecision decision = {
      .verdict = Verdict::kSplit,
      .header_bytes = point_.header_bytes,
      .placement = Place(window, point_.header_bytes,
                         frame.bytes() - point_.header_bytes)};
  switch (decision.placement.verdict) {
    case Placement::Verdict::kFits:
      break;
    case Placement::Verdict::kHeaderTooBig:
      decision.verdict = Verdict::kHeaderTooBig;
      return decision;
    case Placement::Verdict::kNoSpace:
      decision.verdict = Verdict::kNoSpace;
      return decision;
  }
  if (method_ != SplitMethod::kHeaderQueue) return decision;
  const HeaderSlots::Claim claim = slots_->ClaimSlot();
  if (claim.result == HeaderSlots::Result::kBroken) {
    counters_.header_queue_errors.Add(1);
  }
  if (claim.result != HeaderSlots::Result::kClaimed) {
    decision.verdict = Verdict::kNoSlot;
    return decision;
  }
  decision.slot = claim.index;
  return decision;
}

bool HeaderSplitter::WriteToSlot(const SplitDecision& decision,
                                 absl::Span<const uint8_t> header) {
  if (method_ != SplitMethod::kHeaderQueue) return false;
  slots_->Write(decision.slot, header);
  return true;
}

// Hot.
void HeaderSplitter::Delivered(const ReceivedFrame& frame,
                               const SplitDecision& decision, bool in_place) {
  using Verdict = SplitDecision::Verdict;
  switch (decision.verdict) {
    case Verdict::kSplit:
      counters_.split_packets.Add(1);
      counters_.split_header_bytes.Add(decision.header_bytes);
      counters_.split_payload_bytes.Add(frame.bytes() - decision.header_bytes);
      break;
    case Verdict::kNotEligible:
      counters_.unsplit_not_eligible.Add(1);
      break;
    case Verdict::kHeaderTooBig:
      counters_.unsplit_header_too_big.Add(1);
      break;
    case Verdict::kNoSlot:
      counters_.unsplit_no_slot.Add(1);
      break;
    case Verdict::kNoSpace:
      counters_.unsplit_no_space.Add(1);
      break;
  }
  // Little is copied, whatever was guessed, and much of it are frames without a
  // payload, which are no news of the next one.
  if (frame.bytes() <= kUsualSplitHeaderBytes) return;
  if (read_unsure_) {
    counters_.unpredicted.Add(1);
  } else if (in_place) {
    counters_.predicted.Add(1);
  } else {
    counters_.mispredicted.Add(1);
  }
  const bool split = decision.verdict == Verdict::kSplit;
  predictor_.Learn(point_.flow, split ? decision.header_bytes : 0);
}

}  // namespace annulus::virtio
