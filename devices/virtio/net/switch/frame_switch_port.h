#ifndef DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_
#define DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/counter.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/switch_inbox.h"
#include "devices/virtio/spec/features.h"

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

// One queue pair of a FrameSwitchPort.
class alignas(64) SwitchPortQueue final : public NetBackendQueue {
 public:
  // `index` is the pair's in its port.
  SwitchPortQueue(FrameSwitch& frame_switch, uint8_t port, uint8_t slot,
                  uint8_t index);

  // A frame that its receiver has no room for is dropped.
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;
  void Flush() override;
  Transfer Receive(absl::Span<const iovec> room) override;
  int readable_fd() const override { return inbox_.fd(); }
  int writable_fd() const override { return -1; }

  void SetPolled(bool polled) { inbox_.SetPolled(polled); }

  const SwitchCounters& counters() const { return counters_; }

 private:
  bool Deliver(uint8_t port, absl::Span<const iovec> frame, uint32_t bytes);
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
  SwitchCounters counters_;
  const std::unique_ptr<uint8_t[]> copy_;  // Of a frame to be changed.
};

// A port of a FrameSwitch, with as many queue pairs as a card wants:
//
// - Unicast frames go to the port at which their destination was seen last, to
//   all other ports if that is not known; group addresses to all other ports.
//   No frame comes back to its port. VLAN tags are not looked at.
// - The frames of one queue pair to one port keep their order: they all go to
//   the same of its queue pairs, that of the same index among the active ones.
// - A frame with offloads goes to a driver that takes it as it is. For another,
//   the checksum is made and the frame is cut up, as a wire's card would.
// - Who does not receive fast enough loses frames, and holds up nobody.
//
// Threads: as NetBackend and NetBackendQueue. Ports come and go while others
//   run.
// Trust: what is looked at, addresses, is read from guest memory before the
//   frame is copied: a driver that changes them meanwhile sends to whom it
//   could have sent anyway. A port can claim another one's address, as at any
//   switch that learns; the other takes it back with its next frame.
// Allocation: all in Create().
class FrameSwitchPort final : public NetBackend {
 public:
  // ResourceExhausted, if the switch has no room for so many queue pairs.
  static absl::StatusOr<std::unique_ptr<FrameSwitchPort>> Create(
      std::shared_ptr<FrameSwitch> frame_switch, uint16_t queue_pairs);
  ~FrameSwitchPort() override;

  FeatureSet offloads() const override;
  uint16_t queue_pairs() const override {
    return static_cast<uint16_t>(queues_.size());
  }
  SwitchPortQueue& queue(uint16_t pair) override { return *queues_[pair]; }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override;
  absl::Status SetActivePairs(uint16_t pairs) override;
  void SetPolled(bool polled) override;
  // The cable ends in the switch, whoever else is there.
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver*) override {}

 private:
  FrameSwitchPort(std::shared_ptr<FrameSwitch> frame_switch, uint8_t port,
                  uint16_t queue_pairs);

  // shared_ptr: the last port, and whoever else may add one, keep it.
  const std::shared_ptr<FrameSwitch> switch_;
  const uint8_t port_;
  std::vector<std::unique_ptr<SwitchPortQueue>> queues_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_
