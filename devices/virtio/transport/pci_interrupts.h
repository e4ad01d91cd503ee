#ifndef DEVICES_VIRTIO_TRANSPORT_PCI_INTERRUPTS_H_
#define DEVICES_VIRTIO_TRANSPORT_PCI_INTERRUPTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "devices/interrupt.h"
#include "devices/pci/msix.h"
#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/transport/driver_notifier.h"

namespace annulus::virtio {

// Which MSI-X vector each event of a virtio function goes to (virtio 1.4
// §4.1.5.1.2 "MSI-X Vector Configuration"), and ISR status (§4.1.4.5).
//
// INTx is not wired: while MSI-X is disabled only ISR status tells of events,
// to a driver that polls it. Drivers of non-transitional devices use MSI-X.
//
// Threads: thread-safe and lock-free.
// Trust: vectors are guest-controlled; those outside the table become
//   NO_VECTOR, which is how the driver learns that it failed.
class PciInterrupts final : public DriverNotifier {
 public:
  // `msix` outlives it.
  PciInterrupts(pci::Msix& msix, uint16_t queue_count);

  uint16_t config_vector() const { return config_vector_.load(); }
  void set_config_vector(uint16_t vector);
  // REQUIRES: queue < queue_count.
  uint16_t queue_vector(uint16_t queue) const;
  void set_queue_vector(uint16_t queue, uint16_t vector);

  // ISR status; the driver's read takes it back to 0.
  uint8_t TakeIsr() { return isr_.exchange(0); }
  bool isr_pending() const { return isr_.load() != 0; }

  // DriverNotifier.
  Interrupt& UsedBuffer(uint16_t queue) override;
  void ConfigurationChange() override;
  void ResetQueue(uint16_t queue) override;
  void Reset() override;

 private:
  class QueueInterrupt final : public Interrupt {
   public:
    explicit QueueInterrupt(PciInterrupts& owner) : owner_(owner) {}
    // Hot.
    void Trigger() override;

    std::atomic<uint16_t> vector{kMsiNoVector};

   private:
    PciInterrupts& owner_;
  };

  uint16_t Checked(uint16_t vector) const {
    return vector < msix_.vector_count() ? vector : kMsiNoVector;
  }

  pci::Msix& msix_;
  std::atomic<uint16_t> config_vector_{kMsiNoVector};
  std::atomic<uint8_t> isr_{0};
  std::vector<std::unique_ptr<QueueInterrupt>> queues_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_PCI_INTERRUPTS_H_
