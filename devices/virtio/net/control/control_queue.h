#ifndef DEVICES_VIRTIO_NET_CONTROL_CONTROL_QUEUE_H_
#define DEVICES_VIRTIO_NET_CONTROL_CONTROL_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/worker/queue_handler.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// Serves the control virtqueue (virtio 1.4 §5.1.6.5 "Control Virtqueue"): takes
// each command, whatever the descriptors that it is split over, executes it,
// publishes the settings that came of it, waits until the data queues' workers
// use them, writes ack, and gives the buffer back. One that has no command in
// it, or no room for ack, comes back with length 0.
//
// Threads: Drain() on the worker of the queue, SetFeatures() while that does
//   not run, the counters on any thread.
// Trust: buffers are guest-controlled. A command is copied once; the work per
//   Drain() is bounded.
// Allocation: settings, where a command changes them, and header queues.
class ControlQueue final : public QueueHandler {
 public:
  static constexpr uint16_t kMaxQueueSize = 1024;

  // The longest command with its data; a longer one is an error. It has room
  // for tables of ten thousand addresses.
  static constexpr size_t kMaxCommandBytes = 64 << 10;
  static constexpr int kMaxCommandsPerDrain = 16;

  // `store` and `target` outlive the queue.
  ControlQueue(NetSettingsStore& store, ControlTarget& target,
               const HeaderSplitOptions& header_split);

  void SetFeatures(const FeatureSet& negotiated) { features_ = negotiated; }

  bool Drain(Virtqueue& queue) override;

  // Commands that were answered; those of them that succeeded.
  uint64_t commands() const {
    return commands_.load(std::memory_order_relaxed);
  }
  uint64_t commands_ok() const {
    return commands_ok_.load(std::memory_order_relaxed);
  }

 private:
  uint32_t Serve(const memory::GuestMemory& memory);
  ControlReply Execute(const ControlCommand& command, uint32_t room,
                       const memory::GuestMemory& memory);

  NetSettingsStore& store_;
  ControlTarget& target_;
  const HeaderSplitOptions header_split_;
  FeatureSet features_;
  std::atomic<uint64_t> commands_{0};
  std::atomic<uint64_t> commands_ok_{0};

  // Owned by the worker's thread.
  DescriptorChain chain_;
  std::unique_ptr<uint8_t[]> command_;  // kMaxCommandBytes
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_CONTROL_QUEUE_H_
