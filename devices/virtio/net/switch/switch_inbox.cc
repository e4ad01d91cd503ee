#include "devices/virtio/net/switch/switch_inbox.h"

#include <bit>

namespace annulus::virtio {

void SwitchInbox::AddRing(size_t sender) {
  if (rings_[sender] == nullptr) rings_[sender] = std::make_unique<FrameRing>();
}

// Hot.
void SwitchInbox::Announce(size_t sender) {
  // Release: pairs with the acquire in Collect(): who sees the bit sees what
  // the ring has published.
  const uint64_t before =
      state_.fetch_or(uint64_t{1} << sender, std::memory_order_acq_rel);
  if ((before & kAsleep) == 0) return;
  // Of several senders one signals. Should the reader have woken up and fallen
  // asleep again meanwhile, this wakes it for nothing, but wakes it.
  if ((state_.fetch_and(~kAsleep, std::memory_order_acq_rel) & kAsleep) != 0) {
    readable_.Signal();
  }
}

// Hot.
absl::Span<const uint8_t> SwitchInbox::Front() {
  while (true) {
    if (run_ < kMaxRun) {
      const absl::Span<const uint8_t> front = rings_[current_]->Front();
      if (!front.empty()) return front;
      // What comes into it from now on is announced.
      pending_ &= ~(uint64_t{1} << current_);
    }
    Collect();
    if (pending_ != 0) {
      NextSender();
    } else if (Arm()) {
      run_ = kMaxRun;
      return {};
    }
  }
}

// Takes notice of new announcements.
void SwitchInbox::Collect() {
  // Relaxed: a look. While nothing is announced, the line stays where it is.
  if ((state_.load(std::memory_order_relaxed) & ~kAsleep) == 0) return;
  // Acquire: pairs with the release in Announce().
  const uint64_t taken = state_.exchange(0, std::memory_order_acq_rel);
  if (armed_ && (taken & kAsleep) == 0) ++owed_;  // A sender took it back.
  armed_ = false;
  pending_ |= taken & ~kAsleep;
}

// False: something was announced.
bool SwitchInbox::Arm() {
  // Relaxed, as the next: they guard no other memory.
  if (armed_ && (state_.load(std::memory_order_relaxed) & kAsleep) == 0) {
    ++owed_;
    armed_ = false;
  }
  // Every signal that is owed is taken some time, else the descriptor would
  // stay readable; but not where none can be there, for it is a system call.
  // Never after kAsleep is set: the signal might be that of a new announcement.
  // One that is taken too early belongs to what the exchange below will see.
  if (owed_ > 0) owed_ -= static_cast<int64_t>(readable_.Drain());
  if (polled_.load(std::memory_order_relaxed)) return true;
  uint64_t state = 0;
  if (!state_.compare_exchange_strong(state, kAsleep,
                                      std::memory_order_relaxed)) {
    return state == kAsleep;  // Still.
  }
  if (armed_) ++owed_;  // Taken back just now.
  armed_ = true;
  return true;
}

void SwitchInbox::NextSender() {
  const uint64_t later =
      current_ + 1 < kMaxSenders ? pending_ >> (current_ + 1) : 0;
  current_ = later != 0
                 ? current_ + 1 + static_cast<size_t>(std::countr_zero(later))
                 : static_cast<size_t>(std::countr_zero(pending_));
  run_ = 0;
}

void SwitchInbox::Discard() {
  Collect();
  pending_ = 0;
  for (const std::unique_ptr<FrameRing>& ring : rings_) {
    // Its sender goes on meanwhile, and announces what comes after the above.
    if (ring != nullptr) ring->Discard();
  }
}

}  // namespace annulus::virtio
