#ifndef DEVICES_VIRTIO_TRANSPORT_FUZZ_DEVICE_H_
#define DEVICES_VIRTIO_TRANSPORT_FUZZ_DEVICE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/device_state.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// What holds between a device and its transport after any guest access.
inline void CheckInvariants(const FakeDevice& device,
                            const DeviceState& state) {
  // The driver's bits are a prefix of the initialization.
  const uint8_t driver = state.status() & 0xf;
  ANNULUS_CHECK(driver == 0 || driver == 1 || driver == 3 || driver == 11 ||
                driver == 15);
  ANNULUS_CHECK((state.status() & (kStatusSuspend | 32)) == 0);
  for (uint16_t i = 0; i < state.queue_count(); ++i) {
    const std::optional<QueueResources> queue = device.queue(i);
    if (!queue.has_value()) continue;
    // A queue runs only from DRIVER_OK on, on a size and features that were
    // checked.
    ANNULUS_CHECK((driver & kStatusDriverOk) != 0);
    const QueueConfig& config = queue->config;
    ANNULUS_CHECK(config.size != 0);
    ANNULUS_CHECK(config.size <= device.max_queue_sizes()[i]);
    ANNULUS_CHECK(config.features.Has(kFeatureRingPacked) ||
                  (config.size & (config.size - 1)) == 0);
    ANNULUS_CHECK(config.features.Has(kFeatureVersion1));
    ANNULUS_CHECK(config.features.IsSubsetOf(device.offered_features()));
    ANNULUS_CHECK(config.features == device.started_features());
  }
}

// One entropy device for all inputs, each of which resets it at its end: its
// thread is not made anew a thousand times a second.
inline VirtioDevice& RealDevice() {
  static RngDevice& device = []() -> RngDevice& {
    auto created = RngDevice::Create({}, NullLogSink());
    ANNULUS_CHECK(created.ok());
    return *created->release();
  }();
  return device;
}

// Puts 16 bytes of the input at a multiple of 16 of the first 64 KiB of guest
// RAM, where the corpus has its rings.
inline void WriteGuestRam(const memory::GuestMemory& memory, uint32_t place,
                          FuzzInput& input) {
  const memory::GuestAddress address(uint64_t{place & 0xfff} * 16);
  ANNULUS_CHECK(memory.Write(address, input.Bytes(16)));
}

// What the device side does on its own: changes its configuration, finds a
// queue broken, interrupts. `choice` picks.
inline void ActAsDevice(FakeDevice& device, uint8_t choice) {
  switch (choice % 4) {
    case 0:
      return device.ChangeConfig(choice % device.config_size(), choice);
    case 1:
      return device.Break();
    default:
      if (const std::optional<QueueResources> queue = device.queue(choice & 1);
          queue.has_value()) {
        queue->interrupt->Trigger();
      }
  }
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_FUZZ_DEVICE_H_
