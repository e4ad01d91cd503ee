#ifndef DEVICES_VIRTIO_TRANSPORT_FAKE_DEVICE_H_
#define DEVICES_VIRTIO_TRANSPORT_FAKE_DEVICE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// A device that does nothing and remembers what its transport asked of it.
//
// Threads: as VirtioDevice; its records may be read from any thread.
class FakeDevice final : public VirtioDevice {
 public:
  static constexpr uint32_t kFeaturePage2 = 70;
  static constexpr uint32_t kFeaturePage3 = 127;

  struct Options {
    FeatureSet features = FeatureSet::Of(
        0u, kFeatureIndirectDesc, kFeatureEventIdx, kFeatureVersion1,
        kFeatureRingPacked, kFeaturePage2, kFeaturePage3);
    std::vector<uint16_t> queue_sizes = {256, 64};
    uint32_t config_size = 8;
    // StartQueue() of this queue reports NeedsReset(), as for a bad ring.
    int broken_queue = -1;
    // AcceptFeatures() wants bit 0 to come with kFeatureEventIdx.
    bool event_idx_needs_bit_0 = true;
    // Called by StopQueue(), once it is recorded.
    std::function<void()> on_stop_queue = nullptr;
  };

  FakeDevice() : FakeDevice(Options()) {}
  explicit FakeDevice(Options options)
      : options_(std::move(options)),
        config_(options_.config_size),
        queues_(options_.queue_sizes.size()) {
    for (size_t i = 0; i < config_.size(); ++i) {
      config_[i].store(static_cast<uint8_t>(0xa0 + i));
    }
  }

  uint32_t device_id() const override { return 4; }
  FeatureSet offered_features() const override { return options_.features; }
  absl::Span<const uint16_t> max_queue_sizes() const override {
    return options_.queue_sizes;
  }
  bool AcceptFeatures(const FeatureSet& features) const override {
    return !options_.event_idx_needs_bit_0 || !features.Has(kFeatureEventIdx) ||
           features.Has(0);
  }
  uint32_t config_size() const override { return options_.config_size; }
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const override {
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = config_.at(offset + i).load();
    }
  }
  void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) override {
    for (size_t i = 0; i < data.size(); ++i) {
      config_.at(offset + i).store(data[i]);
    }
  }
  uint32_t config_generation() const override { return generation_.load(); }

  void Start(const FeatureSet& features) override {
    MutexLock lock(mu_);
    started_features_ = features;
    calls_.emplace_back("Start");
  }
  void StartQueue(uint16_t index, const QueueResources& resources) override {
    {
      MutexLock lock(mu_);
      calls_.push_back(absl::StrCat("StartQueue ", index));
      queues_.at(index) = resources;
      host_.store(resources.host);
    }
    if (index == options_.broken_queue) resources.host->NeedsReset();
  }
  std::optional<QueueState> StopQueue(uint16_t index) override {
    {
      MutexLock lock(mu_);
      // As with Reset() below.
      if (calls_.size() > 1000) calls_.clear();
      calls_.push_back(absl::StrCat("StopQueue ", index));
      queues_.at(index).reset();
    }
    if (options_.on_stop_queue) options_.on_stop_queue();
    return std::nullopt;
  }
  void Reset() override {
    MutexLock lock(mu_);
    // A guest may reset for ever; tests want to see the first one only.
    if (calls_.empty() || calls_.back() != "Reset")
      calls_.emplace_back("Reset");
    if (calls_.size() > 1000) calls_.clear();
    for (std::optional<QueueResources>& queue : queues_) queue.reset();
  }

  // What the control side of a real device does: changes a byte, then tells.
  void ChangeConfig(uint32_t offset, uint8_t value) {
    generation_.fetch_add(1);
    config_.at(offset).store(value);
    DeviceHost* host = host_.load();
    if (host != nullptr) host->ConfigChanged();
  }
  // As a worker does that met a broken queue. A no-op before the first queue.
  void Break() {
    DeviceHost* host = host_.load();
    if (host != nullptr) host->NeedsReset();
  }

  // The calls since the last TakeCalls(), in order.
  std::vector<std::string> TakeCalls() {
    MutexLock lock(mu_);
    return std::exchange(calls_, {});
  }
  FeatureSet started_features() const {
    MutexLock lock(mu_);
    return started_features_;
  }
  // nullopt while the queue does not run.
  std::optional<QueueResources> queue(uint16_t index) const {
    MutexLock lock(mu_);
    return queues_.at(index);
  }

 private:
  const Options options_;
  std::vector<std::atomic<uint8_t>> config_;
  std::atomic<uint32_t> generation_{0};
  std::atomic<DeviceHost*> host_{nullptr};

  mutable Mutex mu_;
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
  FeatureSet started_features_ ABSL_GUARDED_BY(mu_);
  std::vector<std::optional<QueueResources>> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_FAKE_DEVICE_H_
