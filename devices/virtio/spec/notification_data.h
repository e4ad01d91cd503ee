#ifndef DEVICES_VIRTIO_SPEC_NOTIFICATION_DATA_H_
#define DEVICES_VIRTIO_SPEC_NOTIFICATION_DATA_H_

#include <cstdint>

namespace annulus::virtio {

// The 32 bits of an available buffer notification with
// VIRTIO_F_NOTIFICATION_DATA, virtio 1.4 §2.9 "Driver Notifications".
// Freestanding: guests include it too.
//
// Trust: what a device decodes is what the driver says. vq_index may name no
//   queue, next_off may be beyond the ring: every word decodes to something.
struct NotificationData {
  uint16_t vq_index = 0;
  // Packed ring: where the driver writes its next available descriptor, and
  // its wrap counter there. Split ring: bits 0 to 14 of the available index,
  // and bit 15.
  uint16_t next_off = 0;
  bool next_wrap = false;

  friend constexpr bool operator==(const NotificationData&,
                                   const NotificationData&) = default;
};

// REQUIRES: next_off < 2^15.
constexpr uint32_t EncodeNotificationData(const NotificationData& data) {
  return uint32_t{data.vq_index} | uint32_t{data.next_off} << 16 |
         (data.next_wrap ? uint32_t{1} << 31 : 0);
}

constexpr NotificationData DecodeNotificationData(uint32_t word) {
  return {.vq_index = static_cast<uint16_t>(word),
          .next_off = static_cast<uint16_t>(word >> 16 & 0x7fff),
          .next_wrap = word >> 31 != 0};
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_NOTIFICATION_DATA_H_
