#ifndef DEVICES_VIRTIO_DRIVER_DRIVER_TEST_RING_H_
#define DEVICES_VIRTIO_DRIVER_DRIVER_TEST_RING_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {

// For tests: a driver, and a device that does to its rings what the test says,
// be it allowed or not.
class DriverTestRing {
 public:
  explicit DriverTestRing(const FakeDriverOptions& options)
      : driver(memory, options), packed_(options.packed) {}

  const QueueConfig& config() const { return driver.config(); }

  // The used descriptor or element in this slot. A packed ring's device says
  // used with `wrap`; the split one's waits for UsedIndex().
  void Use(uint16_t slot, uint16_t id, uint32_t len, bool wrap = true) {
    if (packed_) {
      const uint64_t at = config().descriptor.value() + 16 * uint64_t{slot};
      Put32(at + 8, len);
      Put16(at + 12, id);
      // Of a buffer that the device wrote to: else the length is reserved.
      Put16(at + 14,
            kPackedDescWrite | (wrap ? kPackedDescAvail | kPackedDescUsed : 0));
    } else {
      const uint64_t at = config().device.value() + 4 + 8 * uint64_t{slot};
      Put32(at, id);
      Put32(at + 4, len);
    }
  }
  void UsedIndex(uint16_t idx) {
    if (!packed_) Put16(config().device.value() + 2, idx);
  }

  PackedDescriptor PackedAt(uint16_t slot) const {
    const uint64_t at = config().descriptor.value() + 16 * uint64_t{slot};
    return {.addr = Get16(at) | uint64_t{Get16(at + 2)} << 16,
            .len = Get16(at + 8) | uint32_t{Get16(at + 10)} << 16,
            .id = Get16(at + 12),
            .flags = Get16(at + 14)};
  }
  SplitDescriptor SplitAt(uint16_t slot) const {
    const uint64_t at = config().descriptor.value() + 16 * uint64_t{slot};
    return {.addr = Get16(at) | uint64_t{Get16(at + 2)} << 16,
            .len = Get16(at + 8) | uint32_t{Get16(at + 10)} << 16,
            .flags = Get16(at + 12),
            .next = Get16(at + 14)};
  }

  // The driver's event suppression structure, and the device's.
  PackedEventSuppression DriverEvent() const {
    return {.desc = Get16(config().driver.value()),
            .flags = Get16(config().driver.value() + 2)};
  }
  void DeviceEvent(uint16_t desc, uint16_t flags) {
    Put16(config().device.value(), desc);
    Put16(config().device.value() + 2, flags);
  }

  void Put16(uint64_t at, uint16_t value) {
    const uint8_t bytes[] = {static_cast<uint8_t>(value),
                             static_cast<uint8_t>(value >> 8)};
    (void)memory.Write(memory::GuestAddress(at), bytes);
  }
  void Put32(uint64_t at, uint32_t value) {
    Put16(at, static_cast<uint16_t>(value));
    Put16(at + 2, static_cast<uint16_t>(value >> 16));
  }
  uint16_t Get16(uint64_t at) const {
    uint8_t bytes[2] = {};
    (void)memory.Read(memory::GuestAddress(at), absl::MakeSpan(bytes));
    return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
  }

  memory::GuestRam ram = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  FakeDriver driver;

 private:
  bool packed_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_DRIVER_TEST_RING_H_
