#ifndef TESTS_GUEST_NET_QUEUE_H_
#define TESTS_GUEST_NET_QUEUE_H_

#include <cstdint>
#include <type_traits>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "tests/guest/machine.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

// One of a device's queues: its areas, in static memory that is mapped
// one to one, and the driver side of it. Without interrupts.
template <typename Driver>
class NetQueue {
 public:
  // Few, so that a short program goes round several times.
  static constexpr uint16_t kSize = 8;

  explicit NetQueue(uint16_t index) : index_(index), driver_(MakeConfig()) {
    driver_.DisableCallbacks();
  }

  Driver& driver() { return driver_; }

  void Enable(VirtioTransport& transport) {
    transport.SelectQueue(index_);
    GUEST_CHECK(transport.QueueSize() >= kSize);
    transport.WriteQueueSize(kSize);
    transport.WriteQueueAddresses(reinterpret_cast<uint64_t>(descriptors_),
                                  reinterpret_cast<uint64_t>(driver_area_),
                                  reinterpret_cast<uint64_t>(device_area_));
    transport.EnableQueue();
  }

  void NotifyIfNeeded(VirtioTransport& transport) {
    if (driver_.NeedsNotification()) transport.Notify(index_);
  }

 private:
  static constexpr bool kPacked =
      std::is_same_v<Driver, annulus::virtio::PackedDriver>;
  using Config =
      std::conditional_t<kPacked, annulus::virtio::PackedDriverConfig,
                         annulus::virtio::SplitDriverConfig>;

  template <typename T>
  static T* As(unsigned char* area) {
    return reinterpret_cast<T*>(area);
  }

  Config MakeConfig() {
    namespace virtio = annulus::virtio;
    Config config;
    if constexpr (kPacked) {
      config.ring = As<virtio::PackedDescriptor>(descriptors_);
      config.driver_event = As<virtio::PackedEventSuppression>(driver_area_);
      config.device_event = As<virtio::PackedEventSuppression>(device_area_);
    } else {
      config.descriptors = As<virtio::SplitDescriptor>(descriptors_);
      config.available = As<virtio::SplitAvailableHeader>(driver_area_);
      config.used = As<virtio::SplitUsedHeader>(device_area_);
    }
    config.size = kSize;
    config.slots = slots_;
    return config;
  }

  const uint16_t index_;
  alignas(16) unsigned char descriptors_[16 * kSize] = {};
  alignas(16) unsigned char driver_area_
      [annulus::virtio::SplitAvailableRingBytes(kSize)] = {};
  alignas(16) unsigned char device_area_[annulus::virtio::SplitUsedRingBytes(
      kSize)] = {};
  annulus::virtio::DriverSlot slots_[kSize] = {};
  Driver driver_;
};

}  // namespace guest

#endif  // TESTS_GUEST_NET_QUEUE_H_
