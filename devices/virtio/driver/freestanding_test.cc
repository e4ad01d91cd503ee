// The driver side builds as the microguest does: no C library, no exceptions,
// no SSE (see the copts of this target). The returned number is the line of the
// first failure.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 4;

alignas(16) PackedDescriptor packed_ring[kSize];
alignas(4) PackedEventSuppression driver_event;
alignas(4) PackedEventSuppression device_event;
alignas(16) SplitDescriptor split_descriptors[kSize];
alignas(4) uint8_t available[SplitAvailableRingBytes(kSize)];
alignas(4) uint8_t used[SplitUsedRingBytes(kSize)];
DriverSlot slots[kSize];

int RunPacked() {
  PackedDriver driver({.ring = packed_ring,
                       .driver_event = &driver_event,
                       .device_event = &device_event,
                       .size = kSize,
                       .event_idx = true,
                       .slots = slots});
  const DriverElement elements[] = {{0x1000, 8}, {0x2000, 8}};
  const uint16_t id = driver.Add(elements, 1, elements + 1, 1);
  if (id == kNoDriverBuffer || !driver.NeedsNotification()) return __LINE__;
  uint16_t used_id = 0;
  uint32_t len = 0;
  if (driver.GetUsed(&used_id, &len)) return __LINE__;
  driver.DisableCallbacks();
  if (driver.EnableCallbacks()) return __LINE__;
  packed_ring[0].id = id;
  packed_ring[0].len = 5;
  packed_ring[0].flags = kPackedDescAvail | kPackedDescUsed | kPackedDescWrite;
  if (!driver.GetUsed(&used_id, &len) || used_id != id || len != 5) {
    return __LINE__;
  }
  return driver.free_descriptors() == kSize ? 0 : __LINE__;
}

int RunSplit() {
  auto* used_header = reinterpret_cast<SplitUsedHeader*>(used);
  SplitDriver driver(
      {.descriptors = split_descriptors,
       .available = reinterpret_cast<SplitAvailableHeader*>(available),
       .used = used_header,
       .size = kSize,
       .event_idx = true,
       .slots = slots});
  const DriverElement elements[] = {{0x1000, 8}, {0x2000, 8}};
  const uint16_t id = driver.Add(elements, 1, elements + 1, 1);
  if (id == kNoDriverBuffer || !driver.NeedsNotification()) return __LINE__;
  uint16_t used_id = 0;
  uint32_t len = 0;
  if (driver.GetUsed(&used_id, &len)) return __LINE__;
  driver.DisableCallbacks();
  if (driver.EnableCallbacks()) return __LINE__;
  auto* element = reinterpret_cast<SplitUsedElement*>(used_header + 1);
  element->id = id;
  element->len = 5;
  used_header->idx = 1;
  if (!driver.GetUsed(&used_id, &len) || used_id != id || len != 5) {
    return __LINE__;
  }
  return driver.free_descriptors() == kSize ? 0 : __LINE__;
}

}  // namespace
}  // namespace annulus::virtio

// Exit codes have 8 bits, so a line above 255 would be cut; there is none.
// extern "C": to a freestanding compiler main() is a function like any other.
extern "C" int main() {
  const int packed = annulus::virtio::RunPacked();
  return packed != 0 ? packed : annulus::virtio::RunSplit();
}
