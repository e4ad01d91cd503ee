#ifndef DEVICES_VIRTIO_DRIVER_DRIVER_BUFFER_H_
#define DEVICES_VIRTIO_DRIVER_DRIVER_BUFFER_H_

#include <cstdint>

// What both driver-side rings share. Freestanding: the microguest is built from
// these headers without a C library.

namespace annulus::virtio {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the driver side accesses the rings in host order");

// One buffer element as the device is told of it: a guest-physical address.
// Translation is the caller's: it alone knows how its memory is mapped.
struct DriverElement {
  uint64_t addr = 0;
  uint32_t len = 0;  // Bytes.
};

// Returned by Add() where the ring has no room.
inline constexpr uint16_t kNoDriverBuffer = 0xffff;

// Bookkeeping of one descriptor, in the driver's private memory: nothing that
// the device can reach is ever read back to find out what the driver did.
struct DriverSlot {
  uint16_t next = 0;   // Free list; in a split chain the following descriptor.
  uint16_t count = 0;  // Descriptors of the buffer with this id; 0: not in use.
  uint32_t writable_bytes = 0;  // For buffers that VIRTIO_F_IN_ORDER skips.
};

// What a ring is good for at present. In order to cost one comparison only, the
// ordinary case comes first.
enum class DriverState : uint8_t {
  kAnyOrder,  // Working.
  kInOrder,   // Working; VIRTIO_F_IN_ORDER was negotiated.
  kDetached,  // DetachUnused() takes the buffers out of it.
  kBroken,    // The device broke the rules.
};

// How many of `in_flight` must be used before a delayed callback.
constexpr uint32_t DelayedCallbackCount(uint32_t in_flight) {
  const uint32_t most = in_flight * 3 / 4;
  return most == 0 ? 1 : most;
}

// Words of the rings that are accessed at another width than their structure
// declares.
using AliasedWord16 [[gnu::may_alias]] = uint16_t;
using AliasedWord32 [[gnu::may_alias]] = uint32_t;
using AliasedWord64 [[gnu::may_alias]] = uint64_t;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_DRIVER_BUFFER_H_
