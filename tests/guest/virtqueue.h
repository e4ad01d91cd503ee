#ifndef TESTS_GUEST_VIRTQUEUE_H_
#define TESTS_GUEST_VIRTQUEUE_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"

namespace guest {

// The driver side of the one queue that a program uses, in whichever format was
// negotiated. Its rings are static: there is one at a time.
class Virtqueue {
 public:
  // Few, so that a short program goes round several times.
  static constexpr uint16_t kSize = 8;

  // `features` as negotiated. Clears the rings.
  explicit Virtqueue(uint64_t features);

  // What the transport is told.
  uint64_t descriptors() const;
  uint64_t driver_area() const;
  uint64_t device_area() const;

  // As of PackedDriver and SplitDriver.
  uint16_t Add(const annulus::virtio::DriverElement* writable, uint32_t count) {
    return Add(nullptr, 0, writable, count);
  }
  uint16_t Add(const annulus::virtio::DriverElement* readable,
               uint32_t readable_count,
               const annulus::virtio::DriverElement* writable,
               uint32_t writable_count);
  bool NeedsNotification();
  bool HasUsed() const;
  bool GetUsed(uint16_t* id, uint32_t* length);
  void DisableCallbacks();
  bool EnableCallbacks();
  bool broken() const;

  // What a notification says now, with VIRTIO_F_NOTIFICATION_DATA.
  uint32_t NotificationData() const;

  bool packed() const { return packed_; }

 private:
  bool packed_;
  union {
    annulus::virtio::PackedDriver packed_driver_;
    annulus::virtio::SplitDriver split_driver_;
  };
};

}  // namespace guest

#endif  // TESTS_GUEST_VIRTQUEUE_H_
