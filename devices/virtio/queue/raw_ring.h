#ifndef DEVICES_VIRTIO_QUEUE_RAW_RING_H_
#define DEVICES_VIRTIO_QUEUE_RAW_RING_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// For tests: ring memory written field by field, as no honest driver would.
// The areas lie at fixed places; 0x8000 and up is free for buffers and tables.
//
// Each writer leaves memory alone that is outside of guest RAM.

inline constexpr uint64_t kRawDescriptors = 0x1000;
inline constexpr uint64_t kRawDriverArea = 0x5000;
inline constexpr uint64_t kRawDeviceArea = 0x6000;
inline constexpr uint64_t kRawBuffers = 0x8000;

// A configuration for such rings: up to 256 descriptors.
inline QueueConfig RawConfig(uint16_t size, FeatureSet features) {
  features.Add(kFeatureVersion1);
  return {.size = size,
          .descriptor = memory::GuestAddress(kRawDescriptors),
          .driver = memory::GuestAddress(kRawDriverArea),
          .device = memory::GuestAddress(kRawDeviceArea),
          .features = features};
}

class RawRing {
 public:
  explicit RawRing(const memory::GuestMemory& memory) : memory_(memory) {}

  template <typename T>
  void Put(uint64_t addr, T value) const {
    uint8_t bytes[sizeof(T)];
    for (unsigned i = 0; i < sizeof(T); ++i) {
      bytes[i] = static_cast<uint8_t>(uint64_t{value} >> (8 * i));
    }
    (void)memory_.Write(memory::GuestAddress(addr), bytes);
  }
  template <typename T>
  T Get(uint64_t addr) const {
    uint8_t bytes[sizeof(T)] = {};
    (void)memory_.Read(memory::GuestAddress(addr), absl::MakeSpan(bytes));
    uint64_t value = 0;
    for (unsigned i = 0; i < sizeof(T); ++i) {
      value |= uint64_t{bytes[i]} << (8 * i);
    }
    return static_cast<T>(value);
  }

  // Descriptor `index` of the ring, or of an indirect table at `table`.
  void Split(uint32_t index, const SplitDescriptor& d,
             uint64_t table = kRawDescriptors) const {
    const uint64_t at = table + 16 * uint64_t{index};
    Put(at, d.addr);
    Put(at + 8, d.len);
    Put(at + 12, d.flags);
    Put(at + 14, d.next);
  }
  void Packed(uint32_t index, const PackedDescriptor& d,
              uint64_t table = kRawDescriptors) const {
    const uint64_t at = table + 16 * uint64_t{index};
    Put(at, d.addr);
    Put(at + 8, d.len);
    Put(at + 12, d.id);
    Put(at + 14, d.flags);
  }
  PackedDescriptor PackedAt(uint32_t index) const {
    const uint64_t at = kRawDescriptors + 16 * uint64_t{index};
    return {.addr = Get<uint64_t>(at),
            .len = Get<uint32_t>(at + 8),
            .id = Get<uint16_t>(at + 12),
            .flags = Get<uint16_t>(at + 14)};
  }

  void AvailableEntry(uint32_t slot, uint16_t head) const {
    Put(kRawDriverArea + 4 + 2 * uint64_t{slot}, head);
  }
  void AvailableFlags(uint16_t flags) const { Put(kRawDriverArea, flags); }
  void AvailableIndex(uint16_t idx) const { Put(kRawDriverArea + 2, idx); }
  void UsedEvent(uint32_t size, uint16_t event) const {
    Put(kRawDriverArea + SplitUsedEventOffset(size), event);
  }
  uint16_t UsedFlags() const { return Get<uint16_t>(kRawDeviceArea); }
  uint16_t UsedIndex() const { return Get<uint16_t>(kRawDeviceArea + 2); }
  SplitUsedElement UsedEntry(uint32_t slot) const {
    const uint64_t at = kRawDeviceArea + 4 + 8 * uint64_t{slot};
    return {.id = Get<uint32_t>(at), .len = Get<uint32_t>(at + 4)};
  }
  uint16_t AvailEvent(uint32_t size) const {
    return Get<uint16_t>(kRawDeviceArea + SplitAvailEventOffset(size));
  }

  // The driver's event suppression structure, and the device's.
  void DriverEvent(uint16_t desc, uint16_t flags) const {
    Put(kRawDriverArea, desc);
    Put(kRawDriverArea + 2, flags);
  }
  PackedEventSuppression DeviceEvent() const {
    return {.desc = Get<uint16_t>(kRawDeviceArea),
            .flags = Get<uint16_t>(kRawDeviceArea + 2)};
  }

 private:
  const memory::GuestMemory& memory_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_RAW_RING_H_
