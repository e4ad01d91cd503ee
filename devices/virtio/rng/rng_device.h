#ifndef DEVICES_VIRTIO_RNG_RNG_DEVICE_H_
#define DEVICES_VIRTIO_RNG_RNG_DEVICE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/attributes.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/counter.h"
#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/rng/entropy_source.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker.h"
#include "devices/virtio/worker/worker_policy.h"

namespace annulus::virtio {

struct RngOptions {
  std::string name = "rng0";  // Of its thread and in log lines.
  bool packed = true;         // Offer VIRTIO_F_RING_PACKED.
  bool event_idx = true;      // Offer VIRTIO_F_EVENT_IDX.
  bool indirect_desc = true;  // Offer VIRTIO_F_INDIRECT_DESC.
  bool in_order = true;       // Offer VIRTIO_F_IN_ORDER.
  WorkerPolicy workers = {};
  EntropySource* source = nullptr;  // Outlives the device. Null: getrandom(2).
};

// Entropy device (virtio 1.4 §5.4 "Entropy Device"): one queue, requestq, whose
// buffers it fills with random bytes, one after the other as they come: hence
// it can offer VIRTIO_F_IN_ORDER (§2.6 "Virtqueues").
//
// A driver's device-readable elements, which §5.4.6.1 forbids, are ignored and
// never read; a buffer without any writable byte comes back with length 0. It
// does the same where the host has no entropy.
//
// Threads: as VirtioDevice. The queue's thread is made in Create(), so that the
//   guest's DRIVER_OK creates nothing.
// Trust: number and length of buffers are guest-controlled; the work per buffer
//   and per batch is bounded.
// Allocation: none after Create().
class RngDevice final : public VirtioDevice, private QueueHandler {
 public:
  static constexpr uint16_t kMaxQueueSize = 256;

  // "it MAY use less than the entire buffer length" (§5.4.6.2). A driver could
  // ask for 4 GiB in one buffer, and for many of them: the device would be busy
  // for minutes, and StopQueue() would wait for it (compare Firecracker's
  // #5762). Linux asks for less than 4 KiB.
  static constexpr uint32_t kMaxBytesPerChain = 64 << 10;
  static constexpr int kMaxChainsPerDrain = 16;

  // `log` outlives the device. Fails where the host refuses a thread.
  static absl::StatusOr<std::unique_ptr<RngDevice>> Create(
      const RngOptions& options, LogSink& log);

  ~RngDevice() override;

  uint32_t device_id() const override { return kDeviceIdEntropy; }
  FeatureSet offered_features() const override { return offered_; }
  absl::Span<const uint16_t> max_queue_sizes() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND override {
    return kQueueSizes;
  }
  bool AcceptFeatures(const FeatureSet&) const override { return true; }
  uint32_t config_size() const override { return 0; }
  void ReadConfig(uint32_t, absl::Span<uint8_t>) const override {}
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override { return 0; }
  void Start(const FeatureSet&) override {}
  void StartQueue(uint16_t index, const QueueResources& resources) override;
  std::optional<QueueState> StopQueue(uint16_t index) override;
  void Reset() override;

  // Queues stopped by the driver's violations; buffers cut short because the
  // host had no entropy. Any thread.
  uint64_t violations() const { return worker_->violations(); }
  uint64_t entropy_failures() const {
    return entropy_failures_.load(std::memory_order_relaxed);
  }
  // What the driver was given.
  uint64_t bytes() const { return bytes_.value(); }

 private:
  static constexpr std::array<uint16_t, 1> kQueueSizes = {kMaxQueueSize};
  static constexpr uint32_t kPieceBytes = 4096;

  explicit RngDevice(const RngOptions& options);

  bool Drain(Virtqueue& queue) override;
  uint32_t FillChain();

  // Constant after Create().
  FeatureSet offered_;
  EntropySource& source_;

  std::atomic<uint64_t> entropy_failures_{0};
  Counter bytes_;

  // Owned by the worker's thread.
  DescriptorChain chain_;
  std::array<uint8_t, kPieceBytes> piece_;

  std::unique_ptr<QueueWorker> worker_;  // Last: it uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_RNG_RNG_DEVICE_H_
