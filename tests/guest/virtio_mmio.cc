#include "tests/guest/virtio_mmio.h"

#include <cstdint>

#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/spec/notification_data.h"
#include "tests/guest/apic.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/register_scramble.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

// A handler has no argument; there is one device at a time.
uint64_t g_interrupting_base = 0;

// §4.2.3.4.1 "Driver Requirements: Notifications From The Device".
void Acknowledge() {
  const uint32_t status =
      MmioRead<uint32_t>(g_interrupting_base + virtio::kMmioInterruptStatus);
  MmioWrite<uint32_t>(g_interrupting_base + virtio::kMmioInterruptAck, status);
}

}  // namespace

void VirtioMmio::Probe() {
  GUEST_CHECK(Read(virtio::kMmioMagicValue) == virtio::kMmioMagic);
  GUEST_CHECK(Read(virtio::kMmioVersion) == virtio::kMmioVersion2);
}

uint32_t VirtioMmio::DeviceId() { return Read(virtio::kMmioDeviceId); }

uint8_t VirtioMmio::Status() {
  return static_cast<uint8_t>(Read(virtio::kMmioStatus));
}

void VirtioMmio::WriteStatus(uint8_t status) {
  Write(virtio::kMmioStatus, status);
}

uint32_t VirtioMmio::DeviceFeatures(uint32_t page) {
  Write(virtio::kMmioDeviceFeaturesSel, page);
  return Read(virtio::kMmioDeviceFeatures);
}

void VirtioMmio::WriteDriverFeatures(uint32_t page, uint32_t bits) {
  Write(virtio::kMmioDriverFeaturesSel, page);
  Write(virtio::kMmioDriverFeatures, bits);
}

uint32_t VirtioMmio::Config(uint32_t offset) {
  return Read(virtio::kMmioConfig + offset);
}

void VirtioMmio::SelectQueue(uint32_t queue) {
  Write(virtio::kMmioQueueSel, queue);
}

uint32_t VirtioMmio::QueueSize() { return Read(virtio::kMmioQueueSizeMax); }

void VirtioMmio::WriteQueueSize(uint32_t size) {
  Write(virtio::kMmioQueueSize, size);
}

void VirtioMmio::WriteQueueAddresses(uint64_t descriptors, uint64_t driver,
                                     uint64_t device) {
  WriteLong(virtio::kMmioQueueDescLow, descriptors);
  WriteLong(virtio::kMmioQueueDriverLow, driver);
  WriteLong(virtio::kMmioQueueDeviceLow, device);
}

void VirtioMmio::EnableQueue() { Write(virtio::kMmioQueueReady, 1); }

bool VirtioMmio::QueueEnabled() { return Read(virtio::kMmioQueueReady) == 1; }

void VirtioMmio::ResetQueue() { Write(virtio::kMmioQueueReset, 1); }

bool VirtioMmio::QueueResetOngoing() {
  return Read(virtio::kMmioQueueReset) != 0;
}

void VirtioMmio::Notify(uint32_t queue) {
  Write(virtio::kMmioQueueNotify, queue);
}

void VirtioMmio::NotifyWithData(const virtio::NotificationData& data) {
  Write(virtio::kMmioQueueNotify, virtio::EncodeNotificationData(data));
}

void VirtioMmio::RouteInterrupts(uint8_t vector) {
  g_interrupting_base = base_;
  Listen(vector, Acknowledge);
  EnableLocalApic();
  RouteEdge(gsi_, vector);
}

void VirtioMmio::Scramble() {
  // The registers, the beginning of the configuration space and its end. The
  // last of these accesses cross into the next page.
  ScrambleMemory(base_, base_ + virtio::kMmioConfig + 16);
  ScrambleMemory(base_ + 0xff8, base_ + 0x1000);
}

uint32_t VirtioMmio::Read(uint32_t offset) const {
  return MmioRead<uint32_t>(base_ + offset);
}

void VirtioMmio::Write(uint32_t offset, uint32_t value) const {
  MmioWrite<uint32_t>(base_ + offset, value);
}

void VirtioMmio::WriteLong(uint32_t low_offset, uint64_t value) const {
  Write(low_offset, static_cast<uint32_t>(value));
  Write(low_offset + 4, static_cast<uint32_t>(value >> 32));
}

}  // namespace guest
