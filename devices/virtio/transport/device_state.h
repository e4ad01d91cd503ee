#ifndef DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_
#define DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/shared_event_signal.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/device_config.h"
#include "devices/virtio/transport/device_observer.h"
#include "devices/virtio/transport/device_queue.h"
#include "devices/virtio/transport/driver_notifier.h"
#include "devices/virtio/transport/feature_registers.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// What a virtio device is to its driver, whatever the transport: the device
// status field, feature negotiation, the registers of each queue, reset and
// the configuration space (virtio 1.4 §2 "Basic Facilities of a Virtio Device"
// and §3.1 "Device Initialization"). A transport decodes its registers into
// these calls and adds nothing of its own but interrupts.
//
// The life of a device, as the driver walks through it with WriteStatus():
//   0 -> ACKNOWLEDGE -> DRIVER -> (features) FEATURES_OK -> (queues) DRIVER_OK
// Bits are only ever added, each after its predecessor; a write that breaks
// this is ignored. Only writing 0, reset, leaves FAILED or DEVICE_NEEDS_RESET.
//
// Threads: thread-safe. Register accesses come from any vCPU thread and are
//   serialized by a mutex: they are cold, and one of them may wait for a queue
//   worker to stop. status(), Notify(), the configuration space and the
//   DeviceHost that queues get take no lock: a worker may report NeedsReset()
//   while a vCPU thread waits for that worker.
// Trust: every argument is guest-controlled; any value in any order is legal
//   to call with, and at worst ignored.
// Allocation: none after Create().
class DeviceState final {
 public:
  // `device`, `memory` and `notifier` must outlive the state. Fails when the
  // host is out of file descriptors, or of what SharedEventSignal needs.
  static absl::StatusOr<std::unique_ptr<DeviceState>> Create(
      VirtioDevice& device, const memory::GuestMemory& memory,
      DriverNotifier& notifier, const TransportOptions& options);

  // Resets the device, so that no worker uses what is destroyed here.
  ~DeviceState();

  // Device status (§2.1). 0 resets; bits that cannot be set stay clear, which
  // is how the driver learns of a refusal.
  uint8_t status() const { return status_.load(std::memory_order_acquire); }
  void WriteStatus(uint32_t value);

  // Feature bits (§2.2), seen through a selected page of 32 bits; pages that
  // do not exist read as 0. The driver's bits are frozen by FEATURES_OK.
  uint32_t device_feature_select() const {
    MutexLock lock(mu_);
    return features_.device_select();
  }
  void SelectDeviceFeatures(uint32_t page) {
    MutexLock lock(mu_);
    features_.set_device_select(page);
  }
  uint32_t DeviceFeatures() const {
    MutexLock lock(mu_);
    return features_.DevicePage();
  }
  uint32_t driver_feature_select() const {
    MutexLock lock(mu_);
    return features_.driver_select();
  }
  void SelectDriverFeatures(uint32_t page) {
    MutexLock lock(mu_);
    features_.set_driver_select(page);
  }
  uint32_t DriverFeatures() const {
    MutexLock lock(mu_);
    return features_.DriverPage();
  }
  void WriteDriverFeatures(uint32_t bits);

  // Registers of the selected queue (§2.6 "Virtqueues"). Where no such queue
  // exists they read as 0 and ignore writes. Writes also need FEATURES_OK, and
  // a queue that is not enabled: the device runs on what it latched then.
  uint32_t queue_select() const {
    MutexLock lock(mu_);
    return queue_select_;
  }
  void SelectQueue(uint32_t index) {
    MutexLock lock(mu_);
    queue_select_ = index;
  }
  std::optional<uint16_t> SelectedQueue() const;
  uint16_t QueueSizeMax() const;
  uint16_t QueueSize() const;
  void WriteQueueSize(uint32_t size);
  uint32_t QueueAddress(QueueArea area, AddressHalf half) const;
  void WriteQueueAddress(QueueArea area, AddressHalf half, uint32_t value);
  bool QueueEnabled() const;
  // Latches the registers; the queue runs from now on, or from DRIVER_OK. A
  // size that no queue can have sets DEVICE_NEEDS_RESET instead.
  void EnableQueue();
  // Stops the queue, which keeps its registers; returns when its worker has let
  // go of it.
  void DisableQueue();
  // Virtqueue reset (§2.6.1): stops the queue likewise, if it is enabled, and
  // puts all that belongs to it back to what a device reset leaves. Then it may
  // be set up and enabled again, differently; the other queues go on. Ignored
  // without VIRTIO_F_RING_RESET.
  //
  // It is obeyed under FAILED and DEVICE_NEEDS_RESET as well, as the driver's
  // way to take a queue's memory back, but mends neither: what a queue that
  // broke has half done is known to nobody, so that it cannot be enabled again
  // before a device reset.
  void ResetQueue();
  // What the register of the reset reads as: 0, as the write returns when the
  // reset is complete. Waits while another vCPU is in ResetQueue(), for the
  // device must "present 1 [...] as long as the queue reset is ongoing".
  uint16_t QueueReset() const {
    MutexLock lock(mu_);
    return 0;
  }

  // Whether notifications carry data (§2.9), VIRTIO_F_NOTIFICATION_DATA.
  // Lock-free.
  bool notification_data_negotiated() const {
    // Relaxed: see DeviceQueue::Notify().
    return notification_data_.load(std::memory_order_relaxed);
  }
  // An available buffer notification that arrived as a register write. Ignored
  // for a queue that does not exist or is not enabled.
  void Notify(uint64_t queue) const;

  // Where stores that notify `queue` shall be bound to. Valid as long as the
  // state. REQUIRES: queue < queue_count().
  const EventFd& notification(uint16_t queue) const;
  uint16_t queue_count() const { return static_cast<uint16_t>(queues_.size()); }

  // Device-specific configuration (§2.5).
  DeviceConfig& config() { return config_; }

 private:
  // What the worker of one queue tells. Of a device whose queues are elsewhere,
  // it may be another queue than that which was meant.
  class QueueHost final : public DeviceHost {
   public:
    QueueHost(DeviceState& owner, uint16_t index)
        : owner_(owner), index_(index) {}
    void ConfigChanged() override { owner_.ConfigChanged(); }
    void NeedsReset() override { owner_.QueueBroken(index_); }

   private:
    DeviceState& owner_;
    const uint16_t index_;
  };

  DeviceState(VirtioDevice& device, const memory::GuestMemory& memory,
              DriverNotifier& notifier, const TransportOptions& options,
              std::vector<std::unique_ptr<DeviceQueue>> queues,
              std::optional<SharedEventSignal> signal);

  // Lock-free.
  void ConfigChanged();
  void QueueBroken(uint16_t index);

  void SetDriverOk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartQueue(uint16_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ResetLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The selected queue, or null.
  DeviceQueue* Selected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The selected queue if its registers may be written now, else null.
  DeviceQueue* SelectedForSetup() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // True if all `bits` of the device status field are set.
  bool Has(uint8_t bits) const { return (status() & bits) == bits; }

  // Constant after construction.
  VirtioDevice& device_;
  const memory::GuestMemory& memory_;
  DriverNotifier& notifier_;
  DeviceObserver* const observer_;                 // Or null.
  std::vector<std::unique_ptr<QueueHost>> hosts_;  // By queue.
  // The vector is constant. mu_ guards the queues, as DeviceQueue says.
  const std::vector<std::unique_ptr<DeviceQueue>> queues_;
  const std::optional<SharedEventSignal> signal_;  // If they are shared.
  DeviceConfig config_;                            // Takes no lock.

  std::atomic<bool> notification_data_{false};  // Written under mu_.
  // Bits are added under mu_, except DEVICE_NEEDS_RESET by QueueBroken().
  std::atomic<uint8_t> status_{0};

  // Taken before any lock of the device. Never taken by QueueHost.
  mutable Mutex mu_;
  uint32_t queue_select_ ABSL_GUARDED_BY(mu_) = 0;
  FeatureRegisters features_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_
