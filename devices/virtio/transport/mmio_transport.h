#ifndef DEVICES_VIRTIO_TRANSPORT_MMIO_TRANSPORT_H_
#define DEVICES_VIRTIO_TRANSPORT_MMIO_TRANSPORT_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/interrupt.h"
#include "devices/notification_registrar.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/device_state.h"
#include "devices/virtio/transport/driver_notifier.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// One virtio device behind memory-mapped registers, version 2 (virtio 1.4 §4.2
// "Virtio Over MMIO"). ACPI announces it as LNRO0005 with kWindowSize bytes
// and one edge-triggered interrupt.
//
// Registers take aligned 32-bit accesses only; any other width or alignment,
// and any offset without a register, reads as 0 and ignores the write. The
// configuration space takes every width.
//
// An available buffer notification signals its queue's eventfd without an exit
// where the host can tell the queue from the store: by the value, which is the
// queue's index; always, if the device has but one queue. With
// VIRTIO_F_NOTIFICATION_DATA the value has more than the index, so that a
// device of several queues takes an exit for each: hence PCI, where each queue
// has its own address, or TransportOptions, for those who count.
//
// Threads: Read() and Write() on any vCPU thread, concurrently. Interrupts are
//   lock-free: a status bit is set, then the line triggered.
// Trust: offset, width and data are guest-controlled; see DeviceState.
// Allocation: none after Create().
class MmioTransport final : public BusDevice, private DriverNotifier {
 public:
  // Bytes of guest-physical address space: registers, then at most
  // kWindowSize - 0x100 bytes of configuration space.
  static constexpr uint64_t kWindowSize = 0x1000;

  // Registers the queues' notifications for a window at `base`; the caller
  // puts the transport on the bus there. All references must outlive it. Fails
  // when the host is out of descriptors, or the device's configuration space
  // does not fit.
  static absl::StatusOr<std::unique_ptr<MmioTransport>> Create(
      VirtioDevice& device, const memory::GuestMemory& memory, Interrupt& line,
      NotificationRegistrar& registrar, memory::GuestAddress base,
      const TransportOptions& options = {});

  // Resets the device. The window must be off the bus.
  ~MmioTransport() override;

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

  // What the device's control side (metrics, tests) may look at.
  const DeviceState& state() const { return *state_; }

 private:
  // Hot. "Used buffer notification" of every queue: MMIO has one interrupt.
  class UsedBufferInterrupt final : public Interrupt {
   public:
    explicit UsedBufferInterrupt(MmioTransport& owner) : owner_(owner) {}
    void Trigger() override;

   private:
    MmioTransport& owner_;
  };

  MmioTransport(VirtioDevice& device, Interrupt& line,
                NotificationRegistrar& registrar, memory::GuestAddress base);

  // DriverNotifier.
  Interrupt& UsedBuffer(uint16_t queue) override;
  void ConfigurationChange() override;
  void ResetQueue(uint16_t queue) override;
  void Reset() override;

  uint32_t ReadRegister(uint32_t offset) const;
  void WriteRegister(uint32_t offset, uint32_t value);
  void Raise(uint32_t cause);
  NotificationAddress QueueNotifyAddress(uint16_t queue) const;

  const uint32_t device_id_;
  Interrupt& line_;
  NotificationRegistrar& registrar_;
  const memory::GuestAddress base_;
  UsedBufferInterrupt used_buffer_{*this};
  std::atomic<uint32_t> interrupt_status_{0};
  std::unique_ptr<DeviceState> state_;  // Last: its end stops the workers.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_MMIO_TRANSPORT_H_
