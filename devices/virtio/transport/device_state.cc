#include "devices/virtio/transport/device_state.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/status.h"

namespace annulus::virtio {
namespace {

// §2.2: "devices supporting multiple transports need to carefully maintain
// per-transport lists of allowed features". These change what a transport
// does, and ours do not do it.
constexpr uint32_t kNotOfferedByTransports[] = {
    kFeatureSrIov,
    kFeatureNotificationData,
    kFeatureNotifConfigData,
    kFeatureRingReset,
    41,  // VIRTIO_F_ADMIN_VQ
    43,  // VIRTIO_F_SUSPEND
};

FeatureSet Offered(const VirtioDevice& device) {
  FeatureSet features = device.offered_features();
  for (const uint32_t bit : kNotOfferedByTransports) features.Remove(bit);
  return features;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceState>> DeviceState::Create(
    VirtioDevice& device, const memory::GuestMemory& memory,
    DriverNotifier& notifier) {
  const absl::Span<const uint16_t> sizes = device.max_queue_sizes();
  if (sizes.size() > UINT16_MAX) {
    return absl::InvalidArgumentError(
        absl::StrFormat("virtio device type %d has %d queues, more than 65535",
                        device.device_id(), sizes.size()));
  }
  std::vector<std::unique_ptr<Queue>> queues;
  queues.reserve(sizes.size());
  for (const uint16_t size : sizes) {
    ANNULUS_ASSIGN_OR_RETURN(EventFd notification, EventFd::Create());
    queues.push_back(std::make_unique<Queue>(size, std::move(notification)));
  }
  return std::unique_ptr<DeviceState>(
      new DeviceState(device, memory, notifier, std::move(queues)));
}

DeviceState::DeviceState(VirtioDevice& device,
                         const memory::GuestMemory& memory,
                         DriverNotifier& notifier,
                         std::vector<std::unique_ptr<Queue>> queues)
    : device_(device),
      memory_(memory),
      notifier_(notifier),
      offered_(Offered(device)),
      queues_(std::move(queues)),
      seen_generation_(device.config_generation()) {}

DeviceState::~DeviceState() { device_.Reset(); }

void DeviceState::WriteStatus(uint32_t value) {
  MutexLock lock(mu_);
  if (value == 0) {
    ResetLocked();
    return;
  }
  // §2.1.1: "The driver MUST NOT clear a device status bit." Such a write is
  // ignored as a whole. DEVICE_NEEDS_RESET is not the driver's, and may have
  // been set since it read the field.
  const uint8_t current = status();
  if ((current & ~kStatusDeviceNeedsReset & ~value) != 0) return;
  if ((value & kStatusFailed) != 0) {
    status_.fetch_or(kStatusFailed, std::memory_order_acq_rel);
    return;
  }
  if ((current & kStatusDeviceNeedsReset) != 0) return;

  // Each step needs the one before it, also when several come in one write.
  const uint32_t added = value & ~uint32_t{current};
  if ((added & kStatusAcknowledge) != 0) {
    status_.fetch_or(kStatusAcknowledge, std::memory_order_acq_rel);
  }
  if ((added & kStatusDriver) != 0 && Has(kStatusAcknowledge)) {
    status_.fetch_or(kStatusDriver, std::memory_order_acq_rel);
  }
  if ((added & kStatusFeaturesOk) != 0 && Has(kStatusDriver) &&
      FeaturesAcceptable()) {
    status_.fetch_or(kStatusFeaturesOk, std::memory_order_acq_rel);
  }
  if ((added & kStatusDriverOk) != 0 && Has(kStatusFeaturesOk)) SetDriverOk();
}

bool DeviceState::FeaturesAcceptable() const {
  return driver_features_.IsSubsetOf(offered_) &&
         driver_features_.Has(kFeatureVersion1) &&
         device_.AcceptFeatures(driver_features_);
}

void DeviceState::SetDriverOk() {
  // The bit comes first: a queue that turns out broken while it is started
  // shall notify the driver, which needs DRIVER_OK (§2.1.2).
  const uint8_t before =
      status_.fetch_or(kStatusDriverOk, std::memory_order_acq_rel);
  if ((before & kStatusDeviceNeedsReset) != 0) {
    // NeedsReset() came in between, too early to notify.
    notifier_.ConfigurationChange();
    return;
  }
  device_.Start(driver_features_);
  for (uint16_t i = 0; i < queue_count(); ++i) {
    if (queues_[i]->enabled.load(std::memory_order_relaxed)) StartQueue(i);
  }
}

void DeviceState::StartQueue(uint16_t index) {
  Queue& queue = *queues_[index];
  device_.StartQueue(index, QueueResources{
                                .config = queue.latched,
                                .memory = &memory_,
                                .notification = &queue.notification,
                                .interrupt = &notifier_.UsedBuffer(index),
                                .host = this,
                            });
}

void DeviceState::ResetLocked() {
  // §2.4.1: after the status reads 0 there are no notifications and no access
  // to queues. Hence the device first: it returns when its workers are done.
  device_.Reset();
  for (const std::unique_ptr<Queue>& queue : queues_) {
    queue->enabled.store(false, std::memory_order_relaxed);
    queue->registers.Reset();
    queue->latched = QueueConfig();
  }
  device_feature_select_ = 0;
  driver_feature_select_ = 0;
  queue_select_ = 0;
  driver_features_ = FeatureSet();
  notifier_.Reset();
  status_.store(0, std::memory_order_release);
}

uint32_t DeviceState::device_feature_select() const {
  MutexLock lock(mu_);
  return device_feature_select_;
}

void DeviceState::SelectDeviceFeatures(uint32_t page) {
  MutexLock lock(mu_);
  device_feature_select_ = page;
}

uint32_t DeviceState::DeviceFeatures() const {
  MutexLock lock(mu_);
  return offered_.Page(device_feature_select_);
}

uint32_t DeviceState::driver_feature_select() const {
  MutexLock lock(mu_);
  return driver_feature_select_;
}

void DeviceState::SelectDriverFeatures(uint32_t page) {
  MutexLock lock(mu_);
  driver_feature_select_ = page;
}

uint32_t DeviceState::DriverFeatures() const {
  MutexLock lock(mu_);
  return driver_features_.Page(driver_feature_select_);
}

void DeviceState::WriteDriverFeatures(uint32_t bits) {
  MutexLock lock(mu_);
  // §3.1.1: "The driver MUST NOT accept new feature bits after this step."
  if (Has(kStatusFeaturesOk)) return;
  driver_features_.SetPage(driver_feature_select_, bits);
}

uint32_t DeviceState::queue_select() const {
  MutexLock lock(mu_);
  return queue_select_;
}

void DeviceState::SelectQueue(uint32_t index) {
  MutexLock lock(mu_);
  queue_select_ = index;
}

std::optional<uint16_t> DeviceState::SelectedQueue() const {
  MutexLock lock(mu_);
  if (queue_select_ >= queues_.size()) return std::nullopt;
  return static_cast<uint16_t>(queue_select_);
}

DeviceState::Queue* DeviceState::Selected() const {
  return queue_select_ < queues_.size() ? queues_[queue_select_].get()
                                        : nullptr;
}

DeviceState::Queue* DeviceState::SelectedForSetup() const {
  constexpr uint8_t kOver = kStatusDeviceNeedsReset | kStatusFailed;
  if (!Has(kStatusFeaturesOk) || (status() & kOver) != 0) return nullptr;
  Queue* queue = Selected();
  if (queue == nullptr || queue->enabled.load(std::memory_order_relaxed)) {
    return nullptr;
  }
  return queue;
}

uint16_t DeviceState::QueueSizeMax() const {
  MutexLock lock(mu_);
  const Queue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers.size_max();
}

uint16_t DeviceState::QueueSize() const {
  MutexLock lock(mu_);
  const Queue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers.size();
}

void DeviceState::WriteQueueSize(uint32_t size) {
  MutexLock lock(mu_);
  Queue* queue = SelectedForSetup();
  if (queue != nullptr) queue->registers.set_size(size, driver_features_);
}

uint32_t DeviceState::QueueAddress(QueueArea area, AddressHalf half) const {
  MutexLock lock(mu_);
  const Queue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers.address(area, half);
}

void DeviceState::WriteQueueAddress(QueueArea area, AddressHalf half,
                                    uint32_t value) {
  MutexLock lock(mu_);
  Queue* queue = SelectedForSetup();
  if (queue != nullptr) queue->registers.set_address(area, half, value);
}

bool DeviceState::QueueEnabled() const {
  MutexLock lock(mu_);
  const Queue* queue = Selected();
  return queue != nullptr && queue->enabled.load(std::memory_order_relaxed);
}

void DeviceState::EnableQueue() {
  MutexLock lock(mu_);
  Queue* queue = SelectedForSetup();
  if (queue == nullptr) return;
  const std::optional<QueueConfig> config =
      queue->registers.Latch(driver_features_);
  if (!config.has_value()) {
    NeedsReset();
    return;
  }
  queue->latched = *config;
  queue->enabled.store(true, std::memory_order_relaxed);
  if (Has(kStatusDriverOk)) StartQueue(static_cast<uint16_t>(queue_select_));
}

void DeviceState::DisableQueue() {
  MutexLock lock(mu_);
  Queue* queue = Selected();
  if (queue == nullptr || !queue->enabled.load(std::memory_order_relaxed)) {
    return;
  }
  queue->enabled.store(false, std::memory_order_relaxed);
  if (Has(kStatusDriverOk)) {
    device_.StopQueue(static_cast<uint16_t>(queue_select_));
  }
}

void DeviceState::Notify(uint64_t queue) const {
  // Relaxed: a notification that meets enable or reset half way may come too
  // early or too late; the worker looks at the ring, not at the count.
  if (queue >= queues_.size() ||
      !queues_[queue]->enabled.load(std::memory_order_relaxed)) {
    return;
  }
  queues_[queue]->notification.Signal();
}

const EventFd& DeviceState::notification(uint16_t queue) const {
  ANNULUS_CHECK(queue < queues_.size());
  return queues_[queue]->notification;
}

void DeviceState::ReadConfig(uint64_t offset, absl::Span<uint8_t> data) const {
  const uint64_t size = device_.config_size();
  const uint64_t inside =
      offset < size ? std::min<uint64_t>(data.size(), size - offset) : 0;
  std::fill(data.begin() + inside, data.end(), uint8_t{0});
  if (inside == 0) return;
  device_.ReadConfig(static_cast<uint32_t>(offset), data.first(inside));
  // After the data: a change that these bytes show is then in the generation.
  const uint32_t generation = device_.config_generation();
  if (seen_generation_.exchange(generation, std::memory_order_acq_rel) !=
      generation) {
    generation_.fetch_add(1, std::memory_order_acq_rel);
  }
}

void DeviceState::WriteConfig(uint64_t offset, absl::Span<const uint8_t> data) {
  const uint64_t size = device_.config_size();
  if (data.empty() || !RangeFits<uint64_t>(offset, data.size(), size)) return;
  device_.WriteConfig(static_cast<uint32_t>(offset), data);
}

uint32_t DeviceState::ConfigGeneration() const {
  return generation_.load(std::memory_order_acquire);
}

void DeviceState::ConfigChanged() {
  // §2.4.1: nothing is sent after a reset "until the driver re-initializes the
  // device". A change that meets the reset half way may still be notified.
  if (Has(kStatusDriverOk)) notifier_.ConfigurationChange();
}

void DeviceState::NeedsReset() {
  const uint8_t before =
      status_.fetch_or(kStatusDeviceNeedsReset, std::memory_order_acq_rel);
  if ((before & kStatusDeviceNeedsReset) != 0) return;
  // §2.1.2: "If DRIVER_OK is set, after it sets DEVICE_NEEDS_RESET, the device
  // MUST send a device configuration change notification to the driver."
  if ((before & kStatusDriverOk) != 0) notifier_.ConfigurationChange();
}

}  // namespace annulus::virtio
