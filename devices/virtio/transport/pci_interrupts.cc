#include "devices/virtio/transport/pci_interrupts.h"

namespace annulus::virtio {

PciInterrupts::PciInterrupts(pci::Msix& msix, uint16_t queue_count)
    : msix_(msix) {
  queues_.reserve(queue_count);
  for (uint16_t i = 0; i < queue_count; ++i) {
    queues_.push_back(std::make_unique<QueueInterrupt>(*this));
  }
}

void PciInterrupts::set_config_vector(uint16_t vector) {
  config_vector_.store(Checked(vector));
}

uint16_t PciInterrupts::queue_vector(uint16_t queue) const {
  return queues_[queue]->vector.load();
}

void PciInterrupts::set_queue_vector(uint16_t queue, uint16_t vector) {
  queues_[queue]->vector.store(Checked(vector));
}

Interrupt& PciInterrupts::UsedBuffer(uint16_t queue) { return *queues_[queue]; }

void PciInterrupts::QueueInterrupt::Trigger() {
  // §4.1.4.5.1: "If MSI-X capability is disabled, the device MUST set the Queue
  // Interrupt bit in ISR status".
  if (!owner_.msix_.enabled()) {
    owner_.isr_.fetch_or(kPciIsrQueue);
    return;
  }
  // NO_VECTOR is beyond every table.
  owner_.msix_.Trigger(vector.load(std::memory_order_relaxed));
}

void PciInterrupts::ConfigurationChange() {
  // §4.1.4.5.1: the bit is set "before sending a device configuration change
  // notification", whether or not MSI-X is enabled.
  isr_.fetch_or(kPciIsrDeviceConfiguration);
  msix_.Trigger(config_vector_.load());
}

// ISR status and the vector's pending bit stay: other queues share them.
void PciInterrupts::ResetQueue(uint16_t queue) {
  queues_[queue]->vector.store(kMsiNoVector);
}

void PciInterrupts::Reset() {
  config_vector_.store(kMsiNoVector);
  for (const std::unique_ptr<QueueInterrupt>& queue : queues_) {
    queue->vector.store(kMsiNoVector);
  }
  isr_.store(0);
}

}  // namespace annulus::virtio
