#ifndef DEVICES_VIRTIO_NET_SWITCH_SWITCH_PORT_QUEUE_H_
#define DEVICES_VIRTIO_NET_SWITCH_SWITCH_PORT_QUEUE_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "base/counter.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/switch_inbox.h"

namespace annulus::virtio {

// What became of the frames that one queue pair of a port sent.
struct SwitchCounters {
  Counter forwarded;  // To the one port that has the address.
  Counter flooded;    // To all others.
  Counter filtered;   // To nobody: the destination is at this port.
  Counter completed;  // To a driver without the offload: segments of it, too.
  // Lost, one for each receiver:
  Counter full;      // It does not receive as fast as this.
  Counter unusable;  // Its driver does not take such, and nor can it be split.
};

// One queue pair of a FrameSwitchPort, which says what it does.
//
// Threads, Trust, Allocation: as NetBackendQueue; all memory is taken when it
// is
//   made.
class alignas(64) SwitchPortQueue final : public NetBackendQueue {
 public:
  // `index` is the pair's in its port.
  SwitchPortQueue(FrameSwitch& frame_switch, uint8_t port, uint8_t slot,
                  uint8_t index);

  // A frame that its receiver has no room for is dropped.
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;
  uint32_t SendPlain(absl::Span<const iovec> frames) override;
  void Flush() override;
  Transfer Receive(absl::Span<const iovec> room) override;
  uint32_t CopyPlain(absl::Span<const iovec> rooms,
                     absl::Span<uint32_t> bytes) override;
  void TakeCopied() override { inbox_.PopTo(copied_end_, copied_); }
  void Discard() override { inbox_.Discard(); }
  int readable_fd() const override { return inbox_.fd(); }
  int writable_fd() const override { return -1; }

  void SetPolled(bool polled) { inbox_.SetPolled(polled); }

  const SwitchCounters& counters() const { return counters_; }

 private:
  void BeginBatch();
  void Learn(uint64_t source);
  std::optional<uint8_t> Find(uint64_t destination);
  bool Deliver(uint8_t port, absl::Span<const iovec> frame, uint32_t bytes);
  size_t SlotOf(const FrameSwitch::Route& route) const;
  uint8_t* Reserve(size_t slot, size_t bytes);
  void Keep(size_t slot);
  ABSL_ATTRIBUTE_COLD bool DeliverCompleted(const FrameSwitch::Route& route,
                                            size_t slot,
                                            absl::Span<const iovec> frame,
                                            uint32_t bytes);
  bool DeliverSegments(size_t slot, const NetHeader& header,
                       absl::Span<const uint8_t> frame);

  FrameSwitch& switch_;
  SwitchInbox& inbox_;  // What this queue pair receives.
  const uint8_t port_;
  const uint8_t slot_;
  const uint8_t index_;

  // The sender's.
  bool flushed_ = true;
  uint32_t now_ = 0;       // In seconds; of this batch.
  uint64_t touched_ = 0;   // Slots with frames that are kept back.
  uint64_t last_key_ = 0;  // Whom it learned last, and when.
  uint32_t last_seen_ = 0;
  // Whom it found last in this batch, and where. 0: nobody.
  uint64_t found_key_ = 0;
  uint8_t found_port_ = 0;
  SwitchCounters counters_;
  const std::unique_ptr<uint8_t[]> copy_;  // Of a frame to be changed.

  // The receiver's: what the last CopyPlain() copied.
  FrameRing::Position copied_end_ = 0;
  uint32_t copied_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_SWITCH_PORT_QUEUE_H_
