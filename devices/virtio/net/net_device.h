#ifndef DEVICES_VIRTIO_NET_NET_DEVICE_H_
#define DEVICES_VIRTIO_NET_NET_DEVICE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/control_queue.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/data_queue.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/steering/steering_inboxes.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/worker/queue_worker.h"

namespace annulus::virtio {

// Network device (virtio 1.4 §5.1 "Network Device"): pairs of receiveq and
// transmitq, each queue served by a thread of its own, and a control queue.
// Frames go between guest memory and a NetBackend.
//
// Threads: as VirtioDevice; Announce(), SetMtu(), ForgetMtu(), SendRarp(),
//   SetLink() and the counters from any thread. All threads are made in
//   Create().
// Trust: all that the driver writes is guest-controlled; frames from the
//   backend are not trusted either.
// Allocation: none on the data queues after Create().
class NetDevice final : public VirtioDevice,
                        private ControlTarget,
                        private LinkObserver {
 public:
  static constexpr uint16_t kMaxQueuePairs = CoalescingTable::kMaxQueues / 2;

  static constexpr uint16_t kMaxQueueSize = ControlQueue::kMaxQueueSize;

  // `log` outlives the device. InvalidArgument where the backend has not as
  // many queue pairs as the options want, or not what header split needs; else
  // what the host refuses.
  static absl::StatusOr<std::unique_ptr<NetDevice>> Create(
      const NetOptions& options, std::unique_ptr<NetBackend> backend,
      LogSink& log);

  ~NetDevice() override;

  uint32_t device_id() const override { return kDeviceIdNetwork; }
  FeatureSet offered_features() const override { return offered_; }
  absl::Span<const uint16_t> max_queue_sizes() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND override {
    return queue_sizes_;
  }
  bool AcceptFeatures(const FeatureSet& features) const override;
  uint32_t config_size() const override { return kNetConfigBytes; }
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const override;
  // No field can be written: the address has a command.
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override {
    return generation_.load(std::memory_order_acquire);
  }
  void Start(const FeatureSet& features) override;
  void StartQueue(uint16_t index, const QueueResources& resources) override;
  std::optional<QueueState> StopQueue(uint16_t index) override;
  void Reset() override;

  // Asks a driver with GUEST_ANNOUNCE to tell the network where it is
  // (§5.1.6.5.4 "Gratuitous Packet Sending"): after it came to another host.
  void Announce();

  // `mtu` of the configuration space is this one from now on, also after a
  // reset; the driver is told. False: not in 68 to 65535. What is offered does
  // not depend on it.
  bool SetMtu(uint16_t mtu);
  // It is that of the options again.
  void ForgetMtu();

  // Tells the network that `mac` is here, as a driver without GUEST_ANNOUNCE
  // does not: by a reverse ARP request to everyone. Several at once may become
  // one, of the last address. False: no address of a card.
  bool SendRarp(const MacAddress& mac);

  // Pulls the cable, or plugs it in: the link is up when this and the backend
  // say so. While it is pulled, frames are dropped in both directions.
  void SetLink(bool plugged);
  // Whether the driver sees it up.
  bool link_up() const {
    return (status_.load(std::memory_order_relaxed) & kNetStatusLinkUp) != 0;
  }
  // Who is told when the link goes up or down; outlives the device. To be
  // called before a driver is there.
  void SetLinkObserver(LinkObserver* observer);

  // Of a data queue: receive queues are even. REQUIRES: index is below twice
  // the options' queue_pairs.
  const QueueCounters& counters(uint16_t index) const;
  uint64_t notifications(uint16_t index) const;

 private:
  NetDevice(const NetOptions& options, std::unique_ptr<NetBackend> backend,
            LogSink& log);

  absl::Status CreateWorkers();
  // That of an index under the negotiated features, or null.
  DataQueue* DataQueueOf(uint16_t index) const;
  void Publish(const NetSettings& settings);
  void SetEnabledPairs();
  void Complain(const absl::Status& status);
  void StoreMtu(uint16_t mtu);
  void ConfigChanged();

  // ControlTarget
  uint16_t max_queue_pairs() const override { return options_.queue_pairs; }
  uint16_t data_queues() const override;
  bool DataQueueEnabled(uint16_t vq) const override;
  bool SetActivePairs(uint16_t pairs) override;
  bool SetReceiveOffloads(const FeatureSet& offloads) override;
  void SetMac(const MacAddress& mac) override;
  void AnnounceAcknowledged() override;
  void SetCoalescing(Direction direction,
                     const Coalescing& coalescing) override;
  void SetQueueCoalescing(uint16_t vq, const Coalescing& coalescing) override;
  Coalescing QueueCoalescing(uint16_t vq) const override;
  void SettingsPublished(const NetSettings& settings) override;

  // LinkObserver: that of the backend.
  void LinkChanged(bool up) override;
  void UpdateLink() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_mu_);

  // Constant after Create().
  const NetOptions options_;
  const std::unique_ptr<NetBackend> backend_;
  LogSink& log_;
  RateLimiter complaints_;  // Thread-safe.
  FeatureSet offered_;
  std::vector<uint16_t> queue_sizes_;

  FeatureSet negotiated_;  // Changed while no queue runs.
  // Commands come here, not to a front-end. Changed by Start() and by the first
  // start of the control queue after it.
  bool controlled_ = true;

  // The configuration space, as far as it changes.
  std::atomic<uint64_t> mac_;
  std::atomic<uint16_t> status_;
  std::atomic<uint16_t> mtu_;
  std::atomic<uint32_t> generation_{0};

  // Taken before mu_.
  Mutex link_mu_;
  bool plugged_ ABSL_GUARDED_BY(link_mu_) = true;
  bool backend_up_ ABSL_GUARDED_BY(link_mu_) = false;
  LinkObserver* link_observer_ ABSL_GUARDED_BY(link_mu_) = nullptr;

  Mutex mu_;
  // Whom to tell of changes; null while no queue runs.
  DeviceHost* host_ ABSL_GUARDED_BY(mu_) = nullptr;

  std::atomic<bool> announces_{false};  // GUEST_ANNOUNCE was negotiated.
  std::atomic<uint64_t> running_{0};    // Data and control queues, by index.
  // Those that this driver has not started yet; of the control thread.
  uint64_t unused_ = 0;
  NetSettingsStore settings_;
  CoalescingTable coalescing_;
  ControlQueue control_;
  std::unique_ptr<SteeringInboxes> inboxes_;  // If RSS is offered.
  std::vector<std::unique_ptr<DataQueue>> data_;
  std::unique_ptr<QueueWorker> control_worker_;  // Last: it uses all the rest.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_DEVICE_H_
