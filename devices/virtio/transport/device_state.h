#ifndef DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_
#define DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/driver_notifier.h"
#include "devices/virtio/transport/queue_registers.h"
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
//   worker to stop. status(), Notify(), the configuration space and DeviceHost
//   take no lock: a worker may report NeedsReset() while a vCPU thread waits
//   for that worker.
// Trust: every argument is guest-controlled; any value in any order is legal
//   to call with, and at worst ignored.
// Allocation: none after Create().
class DeviceState final : public DeviceHost {
 public:
  // `device`, `memory` and `notifier` must outlive the state. Fails when the
  // host is out of file descriptors.
  static absl::StatusOr<std::unique_ptr<DeviceState>> Create(
      VirtioDevice& device, const memory::GuestMemory& memory,
      DriverNotifier& notifier);

  // Resets the device, so that no worker uses what is destroyed here.
  ~DeviceState() override;

  // Device status (§2.1). 0 resets; bits that cannot be set stay clear, which
  // is how the driver learns of a refusal.
  uint8_t status() const { return status_.load(std::memory_order_acquire); }
  void WriteStatus(uint32_t value);

  // Feature bits (§2.2), seen through a selected page of 32 bits; pages that
  // do not exist read as 0. The driver's bits are frozen by FEATURES_OK.
  uint32_t device_feature_select() const;
  void SelectDeviceFeatures(uint32_t page);
  uint32_t DeviceFeatures() const;
  uint32_t driver_feature_select() const;
  void SelectDriverFeatures(uint32_t page);
  uint32_t DriverFeatures() const;
  void WriteDriverFeatures(uint32_t bits);

  // Registers of the selected queue (§2.6 "Virtqueues"). Where no such queue
  // exists they read as 0 and ignore writes. Writes also need FEATURES_OK, and
  // a queue that is not enabled: the device runs on what it latched then.
  uint32_t queue_select() const;
  void SelectQueue(uint32_t index);
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
  // Stops the queue; returns when its worker has let go of it.
  void DisableQueue();

  // An available buffer notification that arrived as a register write. Ignored
  // for a queue that does not exist or is not enabled.
  void Notify(uint64_t queue) const;

  // Where stores that notify `queue` shall be bound to. Valid as long as the
  // state. REQUIRES: queue < queue_count().
  const EventFd& notification(uint16_t queue) const;
  uint16_t queue_count() const { return static_cast<uint16_t>(queues_.size()); }

  // Device-specific configuration (§2.5). Bytes beyond its end read as 0; a
  // write that is not wholly inside is ignored.
  uint32_t config_size() const { return device_.config_size(); }
  void ReadConfig(uint64_t offset, absl::Span<uint8_t> data) const;
  void WriteConfig(uint64_t offset, absl::Span<const uint8_t> data);
  // Differs from an earlier value if the driver read the configuration since
  // then and part of it had changed. Safe to truncate to 8 bits: it moves at
  // most once per read of the configuration.
  uint32_t ConfigGeneration() const;

  // DeviceHost, for queue workers.
  void ConfigChanged() override;
  void NeedsReset() override;

 private:
  struct Queue {
    Queue(uint16_t max, EventFd fd)
        : registers(max), notification(std::move(fd)) {}
    QueueRegisters registers;     // Guarded by mu_.
    QueueConfig latched;          // Likewise; what the device runs on.
    const EventFd notification;   // Constant.
    std::atomic<bool> enabled{};  // Written under mu_.
  };

  DeviceState(VirtioDevice& device, const memory::GuestMemory& memory,
              DriverNotifier& notifier,
              std::vector<std::unique_ptr<Queue>> queues);

  bool FeaturesAcceptable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetDriverOk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartQueue(uint16_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ResetLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The selected queue, or null.
  Queue* Selected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The selected queue if its registers may be written now, else null.
  Queue* SelectedForSetup() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // True if all `bits` of the device status field are set.
  bool Has(uint8_t bits) const { return (status() & bits) == bits; }

  // Constant after construction.
  VirtioDevice& device_;
  const memory::GuestMemory& memory_;
  DriverNotifier& notifier_;
  const FeatureSet offered_;
  const std::vector<std::unique_ptr<Queue>> queues_;

  // Bits are added under mu_, except DEVICE_NEEDS_RESET by NeedsReset().
  std::atomic<uint8_t> status_{0};
  // The device's generation when the driver last read the configuration, and
  // how often that differed from the time before.
  mutable std::atomic<uint32_t> seen_generation_;
  mutable std::atomic<uint32_t> generation_{0};

  // Taken before any lock of the device. Never taken by DeviceHost.
  mutable Mutex mu_;
  uint32_t device_feature_select_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t driver_feature_select_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t queue_select_ ABSL_GUARDED_BY(mu_) = 0;
  FeatureSet driver_features_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DEVICE_STATE_H_
