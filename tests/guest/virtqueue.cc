#include "tests/guest/virtqueue.h"

#include <cstdint>
#include <cstring>
#include <new>

#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "tests/guest/virtio_device.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint16_t kIndirectEntries = 4;

// The areas of either format.
alignas(16) unsigned char g_descriptors[16 * Virtqueue::kSize];
alignas(16) unsigned char g_driver[virtio::SplitAvailableRingBytes(
    Virtqueue::kSize)];
alignas(
    16) unsigned char g_device[virtio::SplitUsedRingBytes(Virtqueue::kSize)];
alignas(16) unsigned char g_tables[16 * Virtqueue::kSize * kIndirectEntries];
virtio::DriverSlot g_slots[Virtqueue::kSize];

template <typename T>
T* As(unsigned char* area) {
  return reinterpret_cast<T*>(area);
}

uint64_t AddressOf(const void* object) {
  return reinterpret_cast<uint64_t>(object);  // Memory is mapped one to one.
}

bool Has(uint64_t features, uint32_t bit) {
  return (features & FeatureBit(bit)) != 0;
}

}  // namespace

Virtqueue::Virtqueue(uint64_t features)
    : packed_(Has(features, virtio::kFeatureRingPacked)) {
  const bool event_idx = Has(features, virtio::kFeatureEventIdx);
  const bool in_order = Has(features, virtio::kFeatureInOrder);
  const bool indirect = Has(features, virtio::kFeatureIndirectDesc);
  if (packed_) {
    virtio::PackedDriverConfig config;
    config.ring = As<virtio::PackedDescriptor>(g_descriptors);
    config.driver_event = As<virtio::PackedEventSuppression>(g_driver);
    config.device_event = As<virtio::PackedEventSuppression>(g_device);
    config.size = kSize;
    config.event_idx = event_idx;
    config.in_order = in_order;
    config.slots = g_slots;
    if (indirect) {
      config.indirect_tables = As<virtio::PackedDescriptor>(g_tables);
      config.indirect_tables_addr = AddressOf(g_tables);
      config.indirect_entries = kIndirectEntries;
    }
    new (&packed_driver_) virtio::PackedDriver(config);
  } else {
    virtio::SplitDriverConfig config;
    config.descriptors = As<virtio::SplitDescriptor>(g_descriptors);
    config.available = As<virtio::SplitAvailableHeader>(g_driver);
    config.used = As<virtio::SplitUsedHeader>(g_device);
    config.size = kSize;
    config.event_idx = event_idx;
    config.in_order = in_order;
    config.slots = g_slots;
    if (indirect) {
      config.indirect_tables = As<virtio::SplitDescriptor>(g_tables);
      config.indirect_tables_addr = AddressOf(g_tables);
      config.indirect_entries = kIndirectEntries;
    }
    new (&split_driver_) virtio::SplitDriver(config);
  }
}

uint64_t Virtqueue::descriptors() const { return AddressOf(g_descriptors); }
uint64_t Virtqueue::driver_area() const { return AddressOf(g_driver); }
uint64_t Virtqueue::device_area() const { return AddressOf(g_device); }

uint16_t Virtqueue::Add(const virtio::DriverElement* readable,
                        uint32_t readable_count,
                        const virtio::DriverElement* writable,
                        uint32_t writable_count) {
  return packed_ ? packed_driver_.Add(readable, readable_count, writable,
                                      writable_count)
                 : split_driver_.Add(readable, readable_count, writable,
                                     writable_count);
}

uint32_t Virtqueue::NotificationData() const {
  return packed_ ? packed_driver_.NotificationData(0)
                 : split_driver_.NotificationData(0);
}

bool Virtqueue::NeedsNotification() {
  return packed_ ? packed_driver_.NeedsNotification()
                 : split_driver_.NeedsNotification();
}

bool Virtqueue::HasUsed() const {
  return packed_ ? packed_driver_.HasUsed() : split_driver_.HasUsed();
}

bool Virtqueue::GetUsed(uint16_t* id, uint32_t* length) {
  return packed_ ? packed_driver_.GetUsed(id, length)
                 : split_driver_.GetUsed(id, length);
}

void Virtqueue::DisableCallbacks() {
  packed_ ? packed_driver_.DisableCallbacks()
          : split_driver_.DisableCallbacks();
}

bool Virtqueue::EnableCallbacks() {
  return packed_ ? packed_driver_.EnableCallbacks()
                 : split_driver_.EnableCallbacks();
}

bool Virtqueue::broken() const {
  return packed_ ? packed_driver_.broken() : split_driver_.broken();
}

}  // namespace guest
