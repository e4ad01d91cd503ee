#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_QUEUES_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_QUEUES_H_

#include <cstdint>
#include <vector>

#include "base/event_fd.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"

// The driver's side of the queues, of either format.

namespace annulus::bench {

// Guest-physical: each queue has a megabyte for its rings.
inline uint64_t RingsOf(uint16_t queue) {
  return uint64_t{0x100000} * (1 + queue);
}
inline constexpr uint64_t kDriverArea = 0x40000;
inline constexpr uint64_t kDeviceArea = 0x80000;
inline constexpr uint64_t kTables = 0xa0000;
// Elements of a buffer that goes through a table.
inline constexpr uint16_t kTableEntries = 18;

template <typename T>
T* At(uint8_t* bytes) {
  return static_cast<T*>(static_cast<void*>(bytes));
}

inline virtio::PackedDriver MakeDriver(virtio::PackedDriver*, uint8_t* host,
                                       uint16_t queue, uint16_t size,
                                       virtio::DriverSlot* slots) {
  using virtio::PackedDescriptor;
  using virtio::PackedEventSuppression;
  uint8_t* const rings = host + RingsOf(queue);
  return virtio::PackedDriver(
      {.ring = At<PackedDescriptor>(rings),
       .driver_event = At<PackedEventSuppression>(rings + kDriverArea),
       .device_event = At<PackedEventSuppression>(rings + kDeviceArea),
       .size = size,
       .slots = slots,
       .indirect_tables = At<PackedDescriptor>(rings + kTables),
       .indirect_tables_addr = RingsOf(queue) + kTables,
       .indirect_entries = kTableEntries});
}

inline virtio::SplitDriver MakeDriver(virtio::SplitDriver*, uint8_t* host,
                                      uint16_t queue, uint16_t size,
                                      virtio::DriverSlot* slots) {
  using virtio::SplitDescriptor;
  uint8_t* const rings = host + RingsOf(queue);
  return virtio::SplitDriver(
      {.descriptors = At<SplitDescriptor>(rings),
       .available = At<virtio::SplitAvailableHeader>(rings + kDriverArea),
       .used = At<virtio::SplitUsedHeader>(rings + kDeviceArea),
       .size = size,
       .slots = slots,
       .indirect_tables = At<SplitDescriptor>(rings + kTables),
       .indirect_tables_addr = RingsOf(queue) + kTables,
       .indirect_entries = kTableEntries});
}

template <typename Driver>
struct alignas(128) Side {
  Side(uint8_t* host, uint16_t queue, uint16_t ring_size)
      : size(ring_size),
        slots(ring_size),
        driver(MakeDriver(static_cast<Driver*>(nullptr), host, queue, ring_size,
                          slots.data())) {
    driver.DisableCallbacks();
  }
  void Notify() {
    if (driver.NeedsNotification()) notification.Signal();
  }

  const uint16_t size;
  std::vector<virtio::DriverSlot> slots;
  Driver driver;
  EventFd notification = EventFd::Create().value();
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_QUEUES_H_
