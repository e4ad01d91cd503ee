#include "devices/virtio/transport/device_state.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<DeviceState>> DeviceState::Create(
    VirtioDevice& device, const memory::GuestMemory& memory,
    DriverNotifier& notifier, const TransportOptions& options) {
  const absl::Span<const uint16_t> sizes = device.max_queue_sizes();
  if (sizes.size() > UINT16_MAX) {
    return absl::InvalidArgumentError(
        absl::StrFormat("virtio device type %d has %d queues, more than 65535",
                        device.device_id(), sizes.size()));
  }
  std::vector<std::unique_ptr<DeviceQueue>> queues;
  queues.reserve(sizes.size());
  for (const uint16_t size : sizes) {
    ANNULUS_ASSIGN_OR_RETURN(EventFd notification, EventFd::Create());
    queues.push_back(
        std::make_unique<DeviceQueue>(size, std::move(notification)));
  }
  std::optional<SharedEventSignal> signal;
  if (options.shared_notifications) {
    ANNULUS_ASSIGN_OR_RETURN(SharedEventSignal made,
                             SharedEventSignal::Create());
    signal.emplace(std::move(made));
  }
  return std::unique_ptr<DeviceState>(new DeviceState(
      device, memory, notifier, options, std::move(queues), std::move(signal)));
}

DeviceState::DeviceState(VirtioDevice& device,
                         const memory::GuestMemory& memory,
                         DriverNotifier& notifier,
                         const TransportOptions& options,
                         std::vector<std::unique_ptr<DeviceQueue>> queues,
                         std::optional<SharedEventSignal> signal)
    : device_(device),
      memory_(memory),
      notifier_(notifier),
      observer_(options.observer),
      queues_(std::move(queues)),
      signal_(std::move(signal)),
      config_(device),
      features_(device, options) {
  for (uint16_t i = 0; i < queue_count(); ++i) {
    hosts_.push_back(std::make_unique<QueueHost>(*this, i));
  }
}

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
      features_.Acceptable()) {
    notification_data_.store(features_.driver().Has(kFeatureNotificationData),
                             std::memory_order_relaxed);
    status_.fetch_or(kStatusFeaturesOk, std::memory_order_acq_rel);
  }
  if ((added & kStatusDriverOk) != 0 && Has(kStatusFeaturesOk)) SetDriverOk();
}

void DeviceState::SetDriverOk() {
  // The bit comes first: a queue that turns out broken while it is started
  // shall notify the driver, which needs DRIVER_OK (§2.1.2).
  const uint8_t before =
      status_.fetch_or(kStatusDriverOk, std::memory_order_acq_rel);
  if ((before & kStatusDeviceNeedsReset) != 0) {
    // QueueBroken() came in between, too early to notify.
    notifier_.ConfigurationChange();
    return;
  }
  if (observer_ != nullptr) observer_->DriverReady();
  device_.Start(features_.ForDevice());
  for (uint16_t i = 0; i < queue_count(); ++i) {
    if (queues_[i]->enabled()) StartQueue(i);
  }
}

void DeviceState::StartQueue(uint16_t index) {
  const DeviceQueue& queue = *queues_[index];
  device_.StartQueue(index, QueueResources{
                                .config = queue.latched(),
                                .memory = &memory_,
                                .notification = &queue.notification(),
                                .interrupt = &notifier_.UsedBuffer(index),
                                .host = hosts_[index].get(),
                            });
}

void DeviceState::ResetLocked() {
  // §2.4.1: after the status reads 0 there are no notifications and no access
  // to queues. Hence the device first: it returns when its workers are done.
  device_.Reset();
  for (const std::unique_ptr<DeviceQueue>& queue : queues_) {
    queue->ReturnToDefaults();
  }
  features_.Reset();
  queue_select_ = 0;
  notification_data_.store(false, std::memory_order_relaxed);
  notifier_.Reset();
  const bool had_driver = Has(kStatusDriverOk);
  status_.store(0, std::memory_order_release);
  if (had_driver && observer_ != nullptr) observer_->DeviceReset();
}

void DeviceState::WriteDriverFeatures(uint32_t bits) {
  MutexLock lock(mu_);
  // §3.1.1: "The driver MUST NOT accept new feature bits after this step."
  if (Has(kStatusFeaturesOk)) return;
  features_.SetDriverPage(bits);
}

std::optional<uint16_t> DeviceState::SelectedQueue() const {
  MutexLock lock(mu_);
  if (queue_select_ >= queues_.size()) return std::nullopt;
  return static_cast<uint16_t>(queue_select_);
}

DeviceQueue* DeviceState::Selected() const {
  return queue_select_ < queues_.size() ? queues_[queue_select_].get()
                                        : nullptr;
}

DeviceQueue* DeviceState::SelectedForSetup() const {
  constexpr uint8_t kOver = kStatusDeviceNeedsReset | kStatusFailed;
  if (!Has(kStatusFeaturesOk) || (status() & kOver) != 0) return nullptr;
  DeviceQueue* queue = Selected();
  return queue == nullptr || queue->enabled() ? nullptr : queue;
}

uint16_t DeviceState::QueueSizeMax() const {
  MutexLock lock(mu_);
  const DeviceQueue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers().size_max();
}

uint16_t DeviceState::QueueSize() const {
  MutexLock lock(mu_);
  const DeviceQueue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers().size();
}

void DeviceState::WriteQueueSize(uint32_t size) {
  MutexLock lock(mu_);
  DeviceQueue* queue = SelectedForSetup();
  if (queue != nullptr) queue->registers().set_size(size, features_.driver());
}

uint32_t DeviceState::QueueAddress(QueueArea area, AddressHalf half) const {
  MutexLock lock(mu_);
  const DeviceQueue* queue = Selected();
  return queue == nullptr ? 0 : queue->registers().address(area, half);
}

void DeviceState::WriteQueueAddress(QueueArea area, AddressHalf half,
                                    uint32_t value) {
  MutexLock lock(mu_);
  DeviceQueue* queue = SelectedForSetup();
  if (queue != nullptr) queue->registers().set_address(area, half, value);
}

bool DeviceState::QueueEnabled() const {
  MutexLock lock(mu_);
  const DeviceQueue* queue = Selected();
  return queue != nullptr && queue->enabled();
}

void DeviceState::EnableQueue() {
  MutexLock lock(mu_);
  DeviceQueue* queue = SelectedForSetup();
  if (queue == nullptr) return;
  if (!queue->Enable(features_.ForDevice())) {
    QueueBroken(static_cast<uint16_t>(queue_select_));
    return;
  }
  if (Has(kStatusDriverOk)) StartQueue(static_cast<uint16_t>(queue_select_));
}

void DeviceState::DisableQueue() {
  MutexLock lock(mu_);
  DeviceQueue* queue = Selected();
  if (queue == nullptr || !queue->Disable()) return;
  if (Has(kStatusDriverOk)) {
    device_.StopQueue(static_cast<uint16_t>(queue_select_));
  }
}

void DeviceState::ResetQueue() {
  MutexLock lock(mu_);
  DeviceQueue* queue = Selected();
  // Negotiated is what FEATURES_OK has sealed.
  if (queue == nullptr || !Has(kStatusFeaturesOk) ||
      !features_.driver().Has(kFeatureRingReset)) {
    return;
  }
  const auto index = static_cast<uint16_t>(queue_select_);
  // "After a queue has been reset by the driver, the device MUST NOT execute
  // any requests from that virtqueue, or notify the driver for it." Hence the
  // worker first.
  if (queue->Disable() && Has(kStatusDriverOk)) device_.StopQueue(index);
  queue->ReturnToDefaults();
  notifier_.ResetQueue(index);
}

void DeviceState::Notify(uint64_t queue) const {
  if (queue >= queues_.size()) return;
  if (signal_.has_value()) {
    queues_[queue]->NotifyBy(*signal_);
  } else {
    queues_[queue]->Notify();
  }
}

const EventFd& DeviceState::notification(uint16_t queue) const {
  ANNULUS_CHECK(queue < queues_.size());
  return queues_[queue]->notification();
}

void DeviceState::ConfigChanged() {
  // §2.4.1: nothing is sent after a reset "until the driver re-initializes the
  // device". A change that meets the reset half way may still be notified.
  if (Has(kStatusDriverOk)) notifier_.ConfigurationChange();
}

void DeviceState::QueueBroken(uint16_t index) {
  if (observer_ != nullptr) observer_->QueueBroken(index);
  const uint8_t before =
      status_.fetch_or(kStatusDeviceNeedsReset, std::memory_order_acq_rel);
  if ((before & kStatusDeviceNeedsReset) != 0) return;
  // §2.1.2: "If DRIVER_OK is set, after it sets DEVICE_NEEDS_RESET, the device
  // MUST send a device configuration change notification to the driver."
  if ((before & kStatusDriverOk) != 0) notifier_.ConfigurationChange();
}

}  // namespace annulus::virtio
