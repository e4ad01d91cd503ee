#ifndef DEVICES_VIRTIO_NET_DATA_QUEUE_H_
#define DEVICES_VIRTIO_NET_DATA_QUEUE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/coalesced_queue.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/steering/steered_queue.h"
#include "devices/virtio/net/steering/steering_inboxes.h"
#include "devices/virtio/net/transmit/transmit_queue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/worker/polling_threads.h"
#include "devices/virtio/worker/queue_worker.h"

namespace annulus::virtio {

// What a data queue shares with the rest of its device.
struct DataQueueSurroundings {
  const NetOptions& options;
  NetBackend& backend;
  const NetSettingsStore& settings;
  const CoalescingTable& coalescing;
  // Where receive queues leave frames for each other; null where RSS is not
  // offered.
  SteeringInboxes* inboxes;
  PollingThreads& polling;  // Those that its workers share.
  LogSink& log;
};

// One receiveq or transmitq with all that belongs to it alone: handler,
// counters, worker.
//
// Threads: Start(), Stop() and SetFeatures() are serialized by the caller, and
//   the last is not called while the queue runs; the rest from any thread.
class DataQueue {
 public:
  // `index` is the virtqueue's: receive queues are even. What is in
  // `surroundings` outlives the queue, but for `polling`.
  static absl::StatusOr<std::unique_ptr<DataQueue>> Create(
      uint16_t index, const DataQueueSurroundings& surroundings);

  DataQueue(const DataQueue&) = delete;
  DataQueue& operator=(const DataQueue&) = delete;

  void SetFeatures(const FeatureSet& negotiated);
  void Start(const QueueResources& resources);
  std::optional<QueueState> Stop();
  // Any thread. While the link is not up, frames are dropped.
  void SetLink(bool up);
  // Any thread: the settings changed.
  void Wake() { worker_->Wake(); }

  // The network is to learn that `mac` is here: the worker sends so, or, while
  // the queue does not run, this call. Waits for a Start() or Stop() that is
  // under way. REQUIRES: a transmitq.
  void SendRarp(const MacAddress& mac);
  // A wish of that kind that was not met yet is void.
  void ForgetRarp();

  // Such as "net0/rx0".
  const std::string& name() const { return name_; }
  const QueueCounters& counters() const { return *counters_; }
  uint64_t notifications() const { return worker_->notifications(); }

 private:
  DataQueue(uint16_t index, const DataQueueSurroundings& surroundings,
            std::unique_ptr<QueueCounters> counters,
            std::unique_ptr<SteeredQueue> steered);

  const std::string name_;
  const std::unique_ptr<QueueCounters> counters_;
  const std::unique_ptr<SteeredQueue> steered_;  // Or null.
  std::unique_ptr<ReceiveQueue> receive_;        // One of the two.
  std::unique_ptr<TransmitQueue> transmit_;
  CoalescedQueue coalesced_;

  Mutex mu_;  // Held while the backend's queue changes hands.
  bool running_ ABSL_GUARDED_BY(mu_) = false;  // The worker has it.
  std::unique_ptr<QueueWorker> worker_;  // Last: it uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_DATA_QUEUE_H_
