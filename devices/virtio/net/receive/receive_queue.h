#ifndef DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_QUEUE_H_
#define DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_QUEUE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/header_split/header_splitter.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/rate_gate.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/net/receive/received_frame.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves one receiveq (virtio 1.4 §5.1.6.3 "Setting Up Receive Buffers",
// §5.1.6.4 "Processing of Incoming Packets"): frames go from the backend
// straight into the driver's buffers, of any number, size and shape.
//
// The backend is read only while there is a buffer: what the driver has no
// room for waits in the backend, and is the backend's to drop. A frame that is
// larger than all buffers that there are waits for more of them for a while,
// and is dropped then; one that the driver does not want leaves its buffers
// unused.
//
// Threads: SetFeatures() while the queue does not run; SetLink() from any
//   thread; the rest on its worker.
// Trust: buffers are guest-controlled, frames and their headers come from
//   anywhere.
// Allocation: none after construction.
class ReceiveQueue final : public QueueHandler {
 public:
  // Frames between two notifications of the driver, at most.
  static constexpr uint32_t kBatch = 64;
  // How long a frame waits for buffers, if those that there are have no room.
  static constexpr int64_t kPatienceNs = 1'000'000'000;

  // All but the options outlive the queue, which is that of pair `pair`.
  ReceiveQueue(uint16_t pair, NetBackendQueue& backend,
               const NetSettingsStore& settings, const NetOptions& options,
               QueueCounters& counters);

  void SetFeatures(const FeatureSet& negotiated);

  // Any thread. While the link is not up, frames are received and dropped.
  void SetLink(bool up) { link_up_.store(up, std::memory_order_relaxed); }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override { return wait_; }
  void QueueStopped() override;

 private:
  // What the steps of a frame found.
  enum class Step : uint8_t { kDone, kMustWait, kTooShort };

  template <typename Queue>
  bool DrainQueue(Queue& queue);
  bool TakeSettings(const NetSettings& newest,
                    const memory::GuestMemory& memory);
  void ApplySettings(const memory::GuestMemory& memory);
  template <typename Queue>
  Step FindBuffer(Queue& queue);
  bool DeliversAllAsItIs() const;
  template <typename Queue>
  uint32_t ReceivePlain(Queue& queue, uint32_t most);
  Step ReceiveFrame();
  bool Judge(absl::Span<const iovec> vectors);
  bool JudgeContent(absl::Span<const iovec> vectors);
  template <typename Queue>
  Step Deliver(Queue& queue);
  template <typename Queue>
  Step DeliverWhole(Queue& queue);
  template <typename Queue>
  Step DeliverAsDecided(Queue& queue);
  template <typename Queue>
  SplitDecision Decide(Queue& queue);
  template <typename Queue>
  bool FindRoom(Queue& queue);
  bool FinishSplit(const SplitDecision& decision);
  template <typename Queue>
  void Use(Queue& queue, const Placement& placement);
  void EncodeHash(const FlowHash& hash);
  void EncodeSlot(uint16_t index, uint16_t id);

  const uint16_t pair_;
  NetBackendQueue& backend_;
  NetSettingsReader reader_;
  RateGate gate_;
  const HeaderSplitNumbers numbers_;
  QueueCounters& counters_;
  FeatureSet features_;
  uint32_t header_bytes_ = kNetHeaderBytes;  // Of the driver's header.

  // Relaxed: it says something about itself alone.
  std::atomic<bool> link_up_{true};

  // State of the worker.
  QueueWait wait_;
  bool unplugged_ = false;                 // link_up_, for this batch.
  bool gone_ = false;                      // The backend has vanished.
  const NetSettings* settings_ = nullptr;  // Null: none were applied yet.
  HeaderRules rules_;                      // Of the settings, as the next.
  bool filters_ = false;
  bool hashes_ = false;
  bool paid_ = false;            // The frame in hand passed the gate.
  int64_t patience_ends_ = 0;    // If it waits for buffers; else 0.
  uint64_t received_bytes_ = 0;  // In this batch, as the next.
  uint32_t received_frames_ = 0;
  std::array<uint8_t, kNetHeaderBytes> header_ = {};  // From the backend.
  NetHeader checked_header_;                          // The same, checked.
  // Of the frame in hand, for the driver.
  std::array<uint8_t, kMaxDriverHeaderBytes> driver_header_ = {};
  ReceivedFrame frame_;
  bool in_place_ = false;  // It had been read to where it went.
  ReceiveWindow window_;
  HeaderSplitter splitter_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_QUEUE_H_
