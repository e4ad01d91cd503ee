#ifndef DEVICES_VIRTIO_NET_BACKEND_LOOPBACK_BACKEND_H_
#define DEVICES_VIRTIO_NET_BACKEND_LOOPBACK_BACKEND_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/net/backend/all_offloads.h"
#include "devices/virtio/net/backend/frame_inbox.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// One pair of a LoopbackBackend: what is sent is received.
class LoopbackQueue final : public NetBackendQueue {
 public:
  explicit LoopbackQueue(EventFd readable) : inbox_(std::move(readable)) {}

  // A frame for which the ring has no room, or of a kind that is not to be
  // received, is dropped.
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;
  uint32_t SendPlain(absl::Span<const iovec> frames) override;
  void Flush() override;
  Transfer Receive(absl::Span<const iovec> room) override;
  uint32_t CopyPlain(absl::Span<const iovec> rooms,
                     absl::Span<uint32_t> bytes) override;
  void TakeCopied() override { inbox_.ring().PopTo(copied_end_); }
  void Discard() override { inbox_.Discard(); }
  int readable_fd() const override { return inbox_.fd(); }
  int writable_fd() const override { return -1; }

  // Any thread: frames of which kind come back from now on.
  void SetReceiveOffloads(const FeatureSet& offloads);
  void SetPolled(bool polled) { inbox_.SetPolled(polled); }

 private:
  // Large frames do not wait for the whole batch: the reader makes room.
  static constexpr size_t kMostKept = FrameRing::kBytes / 16;

  bool Receivable(const uint8_t* header) const;
  void Keep(size_t bytes);

  FrameInbox inbox_;
  size_t kept_bytes_ = 0;  // The sender's: sent, and not published yet.
  FrameRing::Position copied_end_ = 0;  // The reader's: of CopyPlain().
  // Bit n: a frame may be received whose gso_type without ECN is n. Relaxed:
  // guards no other memory.
  std::atomic<uint32_t> gso_types_{1};
  std::atomic<bool> csum_{false};
  std::atomic<bool> ecn_{false};
};

// Back to the guest: a frame that is sent comes back on the same pair with its
// MAC addresses swapped and its header as it was. A frame whose checksum the
// device was to make comes back as one that the driver is to take for correct
// (virtio 1.4 §5.1.6.4 "Processing of Incoming Packets"): both say NEEDS_CSUM.
//
// A pair holds FrameRing::kBytes of frames.
//
// Threads, Trust, Allocation: as NetBackend and NetBackendQueue say.
class LoopbackBackend final : public NetBackend {
 public:
  static absl::StatusOr<std::unique_ptr<LoopbackBackend>> Create(
      uint16_t queue_pairs);

  FeatureSet offloads() const override { return kAllOffloads; }
  uint16_t queue_pairs() const override {
    return static_cast<uint16_t>(queues_.size());
  }
  NetBackendQueue& queue(uint16_t pair) override { return *queues_[pair]; }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override;
  void SetPolled(bool polled) override;
  // Only a pair that the driver sends on has anything to give back.
  absl::Status SetActivePairs(uint16_t pairs) override;
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver*) override {}  // Never changes.

 private:
  explicit LoopbackBackend(std::vector<std::unique_ptr<LoopbackQueue>> queues)
      : queues_(std::move(queues)) {}

  const std::vector<std::unique_ptr<LoopbackQueue>> queues_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_LOOPBACK_BACKEND_H_
