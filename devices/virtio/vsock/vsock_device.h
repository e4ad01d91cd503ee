#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/queues/datagram_receive_queue.h"
#include "devices/virtio/vsock/queues/datagram_transmit_queue.h"
#include "devices/virtio/vsock/queues/event_queue.h"
#include "devices/virtio/vsock/queues/idle_host_loop.h"
#include "devices/virtio/vsock/queues/receive_queue.h"
#include "devices/virtio/vsock/queues/transmit_queue.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker.h"

namespace annulus::virtio {

// Socket device (virtio 1.4 §5.10 "Socket Device"): stream, seqpacket and
// datagram sockets between a guest and the host, and between guests. Each
// virtqueue is served by a thread of its own.
//
// Threads: as VirtioDevice; ResetTransport() and the counters from any thread.
//   All threads are made in Create().
// Trust: all that the driver writes is guest-controlled; programs of the host
//   are not trusted either.
// Allocation: per connection; none per packet.
class VsockDevice final : public VirtioDevice {
 public:
  static constexpr uint16_t kMaxQueueSize = 1024;

  // `port` is the device's place in a switch, or null: it reaches no other
  // guest. `log` outlives the device. InvalidArgument for options that make no
  // sense; else what the host refuses.
  static absl::StatusOr<std::unique_ptr<VsockDevice>> Create(
      const VsockOptions& options, std::unique_ptr<VsockBackend> backend,
      std::unique_ptr<SwitchPort> port, LogSink& log);

  ~VsockDevice() override;

  uint32_t device_id() const override { return kDeviceIdSocket; }
  FeatureSet offered_features() const override { return offered_; }
  absl::Span<const uint16_t> max_queue_sizes() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND override {
    return queue_sizes_;
  }
  // §5.10.3 "Feature bits" has no dependencies.
  bool AcceptFeatures(const FeatureSet&) const override { return true; }
  uint32_t config_size() const override { return kVsockConfigBytes; }
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const override;
  // No field can be written.
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override {
    return generation_.load(std::memory_order_acquire);
  }
  void Start(const FeatureSet& features) override;
  void StartQueue(uint16_t index, const QueueResources& resources) override;
  std::optional<QueueState> StopQueue(uint16_t index) override;
  void Reset() override;

  // The guest is to forget its connections, and to look what CID it has: after
  // it was resumed elsewhere, or copied (§5.10.6.7 "Device Events"). Sockets of
  // the host are closed. Nothing is sent to the guest until it has taken
  // notice, which is when it makes a buffer available in the event virtqueue
  // again: it might else lose what it is sent.
  //
  // InvalidArgument for a CID that no guest can have; FailedPrecondition for
  // another one than before if other guests reach this one by it.
  absl::Status ResetTransport(uint64_t guest_cid);

  uint64_t guest_cid() const {
    return guest_cid_.load(std::memory_order_relaxed);
  }

  // Of the workers of rx and tx, and of those of datagrams.
  const VsockCounters& rx_counters() const { return rx_counters_; }
  const VsockCounters& tx_counters() const { return tx_counters_; }
  const VsockCounters& dgram_rx_counters() const { return dgram_rx_counters_; }
  const VsockCounters& dgram_tx_counters() const { return dgram_tx_counters_; }
  uint32_t connections() const { return muxer_->connections(); }

 private:
  VsockDevice(const VsockOptions& options,
              std::unique_ptr<VsockBackend> backend,
              std::unique_ptr<SwitchPort> port, LogSink& log);

  absl::Status CreateWorkers();
  void CreateHandlers();
  absl::Status CreateDgramWorkers();
  absl::StatusOr<std::unique_ptr<QueueWorker>> CreateWorker(
      absl::string_view name, size_t index, QueueHandler& handler) const;
  // Calls `change` while none of the device's threads has its turn.
  template <typename Function>
  void Interrupt(Function change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_mu_);
  // That of an index under the negotiated features, or null.
  QueueWorker* WorkerOf(uint16_t index) const;
  void SetGuestCid(uint64_t guest_cid);
  void LogCounters(absl::string_view queue, const VsockCounters& counters);

  // Constant after Create().
  const VsockOptions options_;
  const std::unique_ptr<VsockBackend> backend_;
  const std::unique_ptr<SwitchPort> port_;  // Or null.
  LogSink& log_;
  const FeatureSet offered_;
  const std::vector<uint16_t> queue_sizes_;

  bool dgram_ = false;  // It was negotiated. Changed while no queue runs.

  std::atomic<uint64_t> guest_cid_;
  std::atomic<uint32_t> generation_{0};

  // Who changes what the workers work on; before the turns of these.
  Mutex control_mu_;
  bool started_ ABSL_GUARDED_BY(control_mu_) = false;  // There is a driver.
  Turn host_turn_;  // Of the rx worker or the host loop's own thread.
  Turn tx_turn_;    // Of the tx worker, and so on.
  Turn dgram_rx_turn_;
  Turn dgram_tx_turn_;
  TransportGate gate_;
  VsockCounters rx_counters_;
  VsockCounters tx_counters_;
  VsockCounters dgram_rx_counters_;
  VsockCounters dgram_tx_counters_;
  std::unique_ptr<Muxer> muxer_;
  std::unique_ptr<IdleHostLoop> host_loop_;
  std::unique_ptr<VsockReceiveQueue> receive_;
  std::unique_ptr<VsockTransmitQueue> transmit_;
  std::unique_ptr<EventQueue> event_;
  // Null where datagrams are not offered.
  std::unique_ptr<DatagramReceiveQueue> dgram_receive_;
  std::unique_ptr<DatagramTransmitQueue> dgram_transmit_;
  // Last: they use all the rest. That of events wakes others, and goes first.
  std::unique_ptr<QueueWorker> rx_worker_;
  std::unique_ptr<QueueWorker> tx_worker_;
  std::unique_ptr<QueueWorker> dgram_rx_worker_;  // Or null, as the next.
  std::unique_ptr<QueueWorker> dgram_tx_worker_;
  std::unique_ptr<QueueWorker> event_worker_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_H_
