#ifndef DEVICES_VIRTIO_NET_TRANSMIT_TRANSMIT_QUEUE_H_
#define DEVICES_VIRTIO_NET_TRANSMIT_TRANSMIT_QUEUE_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/rate_gate.h"
#include "devices/virtio/net/transmit/rarp_announcement.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves one transmitq (virtio 1.4 §5.1.6.2 "Packet Transmission"): each buffer
// is a virtio_net_hdr and a frame, split over descriptors in any way
// (§2.7.4 "Message Framing"). The header is copied, checked and passed on from
// the copy; the frame goes from guest memory to the backend by itself.
//
// A frame that cannot be sent, or ought not to be, is dropped and counted, and
// its buffer given back as any other. One that the backend cannot take yet
// waits, and those behind it.
//
// Threads: SetFeatures() and SendAnnouncement() while the queue does not run;
//   announcement().Ask() and SetLink() from any thread; the rest on its worker.
// Trust: buffers are guest-controlled.
// Allocation: none after construction.
class TransmitQueue final : public QueueHandler {
 public:
  // Buffers that are taken, and frames that are sent, between two
  // notifications of the driver at most.
  static constexpr uint16_t kBatch = 64;

  // All but the options outlive the queue.
  TransmitQueue(NetBackendQueue& backend, const NetOptions& options,
                QueueCounters& counters);

  void SetFeatures(const FeatureSet& negotiated);

  // Any thread. While the link is not up, frames are dropped, but for one that
  // the backend may have begun to send.
  void SetLink(bool up) { link_up_.store(up, std::memory_order_relaxed); }

  // Sent between two batches, in place of the device.
  RarpAnnouncement& announcement() { return announcement_; }

  // Sends what was asked for and not sent yet; once, for nobody waits here.
  void SendAnnouncement();

  // A driver finds most of what was sent when it sends or receives the next
  // time, before this is over, and then wants no notification: half of the
  // interrupts of a TCP stream. Network cards do the same.
  static constexpr int64_t kNotificationDelayNs = 100'000;

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override { return wait_; }
  int64_t NotificationDelay() const override { return kNotificationDelayNs; }
  void QueueStopped() override;

 private:
  // writev(2) takes no more than 1024, one of which is the header.
  static constexpr size_t kMaxVectors = 1023;

  template <typename Queue>
  bool DrainQueue(Queue& queue);
  template <typename Queue>
  bool SendBatch(Queue& queue);
  struct PlainRun {
    uint32_t plain = 0;
    uint32_t sent = 0;
  };
  template <typename Queue>
  PlainRun SendPlain(Queue& queue, absl::Span<DescriptorChain> chains);
  bool TakePlain(const DescriptorChain& chain, iovec& frame) const;
  bool SendsAllAsItIs() const {
    return !gone_ && !paid_ && !unplugged_ && !gate_.limited();
  }
  bool Announce();
  bool Send(const DescriptorChain& chain);
  bool Prepare(const DescriptorChain& chain);
  bool CopyHeader(const DescriptorChain& chain);
  void CollectVectors(const DescriptorChain& chain);
  void CollectCopy(const DescriptorChain& chain);

  NetBackendQueue& backend_;
  RarpAnnouncement announcement_;
  RateGate gate_;
  const HeaderSplitNumbers numbers_;
  QueueCounters& counters_;
  uint32_t header_bytes_ = kNetHeaderBytes;  // Of the driver's header.
  HeaderRules rules_;

  // Relaxed: it says something about itself alone.
  std::atomic<bool> link_up_{true};

  // State of the worker.
  QueueWait wait_;
  bool unplugged_ = false;  // link_up_, for the batch in hand.
  ChainBatch batch_;
  bool gone_ = false;        // The backend has vanished.
  bool paid_ = false;        // The first frame has passed the gate already.
  uint64_t sent_bytes_ = 0;  // In this batch, as the next.
  uint32_t sent_frames_ = 0;
  uint32_t frame_bytes_ = 0;  // Of the frame in hand.
  std::array<uint8_t, kNetHeaderBytes> header_ = {};
  size_t vector_count_ = 0;
  std::array<iovec, kMaxVectors + 1> vectors_;  // The first: header_.
  // For a frame in more pieces than the kernel takes.
  std::unique_ptr<uint8_t[]> copy_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_TRANSMIT_TRANSMIT_QUEUE_H_
