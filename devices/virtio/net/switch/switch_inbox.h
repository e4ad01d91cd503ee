#ifndef DEVICES_VIRTIO_NET_SWITCH_SWITCH_INBOX_H_
#define DEVICES_VIRTIO_NET_SWITCH_SWITCH_INBOX_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/net/backend/frame_ring.h"

namespace annulus::virtio {

// What waits for one receive queue of a switch: a ring for each queue that
// sends, so that no sender waits for another, and whoever floods fills a ring
// of its own only. The reader takes turns among them.
//
// A sender writes any number of frames into its ring, publishes them, and says
// so once, by Announce(). It pays for a system call only where the reader
// sleeps.
//
// Threads: ring(i)'s writing side and Announce(i) on one thread for each i;
//   Front(), Pop(), current(), run_left(), PopTo() and Discard() on one other.
//   AddRing() while nobody uses what it changes; the caller sees to that.
//   SetPolled() from any thread.
// Allocation: none but in AddRing().
class SwitchInbox {
 public:
  static constexpr size_t kMaxSenders = 63;
  // Frames of one sender, at most, before the next one has its turn.
  static constexpr uint32_t kMaxRun = 32;

  explicit SwitchInbox(EventFd readable) : readable_(std::move(readable)) {}

  // Makes the ring of a sender, if there is none yet.
  void AddRing(size_t sender);
  // REQUIRES: AddRing(sender) happened before.
  FrameRing& ring(size_t sender) { return *rings_[sender]; }

  // Hot. What ring(sender) has published is there for the reader.
  void Announce(size_t sender);

  // Hot. The next frame, until Pop(). Empty: there is none, and fd() is
  // readable from the next Announce() on, unless the reader polls.
  absl::Span<const uint8_t> Front();
  void Pop() {
    rings_[current_]->Pop();
    ++run_;
  }

  // Hot. The same for several frames, after Front(), which was not empty: its
  // frame and those behind it are in this ring, and so many of them may be
  // removed before the next sender has its turn.
  FrameRing& current() { return *rings_[current_]; }
  uint32_t run_left() const { return kMaxRun - run_; }
  void PopTo(FrameRing::Position position, uint32_t frames) {
    rings_[current_]->PopTo(position);
    run_ += frames;
  }

  int fd() const { return readable_.fd(); }

  // The reader asks Front() again and again, and never waits for fd().
  void SetPolled(bool polled) {
    polled_.store(polled, std::memory_order_relaxed);
  }

  // Throws away all that waits, but not what comes meanwhile.
  void Discard();

 private:
  // The highest bit of state_; the others say who announced something.
  static constexpr uint64_t kAsleep = uint64_t{1} << 63;

  void Collect();
  bool Arm();
  void NextSender();

  std::array<std::unique_ptr<FrameRing>, kMaxSenders> rings_;
  const EventFd readable_;
  std::atomic<bool> polled_{false};

  // All that senders and the reader tell each other, in one word, so that its
  // changes have one order: either an announcement comes before the reader
  // falls asleep, which then sees it, or after, and then the sender sees that.
  alignas(64) std::atomic<uint64_t> state_{0};

  // The reader's.
  alignas(64) uint64_t pending_ = 0;  // Senders whose rings may have frames.
  size_t current_ = 0;                // Whose turn it is.
  uint32_t run_ = kMaxRun;            // Frames of this turn.
  bool armed_ = false;  // It set kAsleep, and did not take it back.
  // How often a sender took it back, less the signals that were taken.
  int64_t owed_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_SWITCH_INBOX_H_
