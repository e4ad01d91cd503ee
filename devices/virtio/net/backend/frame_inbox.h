#ifndef DEVICES_VIRTIO_NET_BACKEND_FRAME_INBOX_H_
#define DEVICES_VIRTIO_NET_BACKEND_FRAME_INBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/net/backend/frame_ring.h"

namespace annulus::virtio {

// A FrameRing whose reader can sleep on a descriptor until there is a frame.
// The writer pays for a signal only where the reader does sleep.
//
// Threads: Reserve() to Publish() on one, or on several that take turns under a
//   lock of theirs; Front(), FrontOrArm(), Pop(), ring() and Discard() on one
//   other.
// Allocation: all in the constructor.
class FrameInbox {
 public:
  static constexpr size_t kMaxFrameBytes = FrameRing::kMaxFrameBytes;

  explicit FrameInbox(EventFd readable) : readable_(std::move(readable)) {}

  // Hot. As those of FrameRing.
  uint8_t* Reserve(size_t bytes) { return ring_.Reserve(bytes); }
  void Commit() {
    Keep();
    Publish();
  }
  void Keep() { ring_.Keep(); }
  void Publish();
  absl::Span<const uint8_t> Front() { return ring_.Front(); }
  void Pop() { ring_.Pop(); }
  // The reader's, to look at several frames.
  FrameRing& ring() { return ring_; }

  // Hot. As Front(). If it is empty, fd() is readable from the next Publish()
  // on, until this finds the ring empty again; not so while the reader polls.
  absl::Span<const uint8_t> FrontOrArm();

  // Throws away all that waits, but not what comes meanwhile.
  void Discard() { ring_.Discard(); }

  // To be polled for POLLIN after FrontOrArm() was empty, and not otherwise.
  int fd() const { return readable_.fd(); }

  // The reader asks again and again, and never waits for fd(): it is not to be
  // signalled. Any thread; FrontOrArm() goes by it from its next call on.
  void SetPolled(bool polled) {
    polled_.store(polled, std::memory_order_relaxed);
  }

 private:
  FrameRing ring_;
  const EventFd readable_;
  std::atomic<bool> polled_{false};  // Relaxed: guards no other memory.
  // The reader found the ring empty and may sleep on readable_. It sets this;
  // the writer clears it, once it has signalled.
  alignas(64) std::atomic<bool> waiting_{false};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_FRAME_INBOX_H_
