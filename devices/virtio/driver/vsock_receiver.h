#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_RECEIVER_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_RECEIVER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/vsock_packet.h"

namespace annulus::virtio {

// What a VsockReceiver works with. All of it outlives the receiver.
struct VsockReceiverConfig {
  bool mergeable = false;          // MRG_RXBUF was negotiated.
  ReceivePool* buffers = nullptr;  // Of VsockHeaderBytes() or more each.
  // Both: as many as the ring has descriptors, private to the driver.
  uint32_t* in_flight = nullptr;
  VsockPart* parts = nullptr;
};

// Driver side of a socket device's rx virtqueue, or of that for datagrams
// (virtio 1.4 §5.10.6.1 "Virtqueue Flow Control"): keeps buffers of one size in
// the ring, and puts together what the device merged out of several.
//
//   receiver.Post();
//   if (driver.NeedsNotification()) ... notify ...
//   VsockPacket packet;
//   while (receiver.GetPacket(packet)) {
//     ... look at packet.header, copy out of packet.parts ...
//     receiver.Release(packet);
//   }
//
// `Driver` is PackedDriver or SplitDriver. Header-only and freestanding.
//
// Threads: thread-compatible; one owner, who owns the pool as well.
// Trust: the device is not trusted: number and length of buffers and the
//   payload's length are checked against each other. A violation sets broken();
//   no packet comes then any more, and its buffers are free again.
// Allocation: none.
template <typename Driver>
class VsockReceiver {
 public:
  // REQUIRES: nothing is in flight in `driver`.
  VsockReceiver(Driver& driver, const VsockReceiverConfig& config)
      : driver_(driver), config_(config) {}

  bool mergeable() const { return config_.mergeable; }

  // Hot. Makes buffers available until ring or pool have no more. Returns how
  // many; whether the device is to be notified is for
  // driver.NeedsNotification().
  uint32_t Post() {
    if (broken_) return 0;
    ReceivePool& pool = *config_.buffers;
    uint32_t posted = 0;
    while (pool.free_count() != 0) {
      const uint32_t number = pool.Peek(0);
      const DriverElement element = {.addr = pool.AddrOf(number),
                                     .len = pool.bytes()};
      const uint16_t id = driver_.AddBatched(nullptr, 0, &element, 1);
      if (id == kNoDriverBuffer) break;
      pool.Take(1);
      config_.in_flight[id] = number;
      ++posted;
    }
    if (posted != 0) driver_.Expose();
    return posted;
  }

  // Hot. Takes the next packet, which is valid until the next call. False:
  // there is none, or broken().
  bool GetPacket(VsockPacket& packet) {
    if (broken_) return false;
    taken_ = 0;
    if (TakePacket(packet)) [[likely]] {
      return true;
    }
    if (broken_) {
      while (taken_ != 0) Release(config_.parts[--taken_]);
    }
    return false;
  }

  // Hot. Gives its buffers back, once, before the next packet is taken or one
  // by one at any time.
  void Release(const VsockPacket& packet) {
    for (uint32_t i = 0; i < packet.part_count; ++i) Release(packet.parts[i]);
  }
  void Release(const VsockPart& part) { config_.buffers->Put(part.buffer); }

  // After a reset of the device or of this queue: what was in flight goes back
  // to the pool, and all begins anew.
  void Restart() {
    uint16_t id;
    while (driver_.DetachUnused(&id)) {
      config_.buffers->Put(config_.in_flight[id]);
    }
    driver_.Reset();
    broken_ = false;
  }

  bool broken() const { return broken_; }

 private:
  bool Break() {
    broken_ = true;
    return false;
  }

  // The next used buffer becomes the next part, all `len` bytes of it.
  bool TakeUsed() {
    uint16_t id;
    uint32_t len;
    if (!driver_.GetUsed(&id, &len)) return driver_.broken() ? Break() : false;
    const uint32_t number = config_.in_flight[id];
    config_.parts[taken_++] = {.data = config_.buffers->HostOf(number),
                               .bytes = len,
                               .buffer = number};
    return len <= config_.buffers->bytes() ? true : Break();
  }

  bool TakePacket(VsockPacket& packet) {
    if (!TakeUsed()) return false;
    VsockPart& first = config_.parts[0];
    const uint32_t header_bytes = VsockHeaderBytes(config_.mergeable);
    if (first.bytes < header_bytes) [[unlikely]] {
      return Break();
    }
    packet.header = ReadVsockHeader(first.data, config_.mergeable);
    const uint32_t buffers = packet.header.num_buffers;
    // What is too many of them ends where no more are used.
    if (buffers == 0) [[unlikely]] {
      return Break();
    }
    uint64_t bytes = first.bytes;
    while (taken_ < buffers) {
      // The device fills all buffers but the last, and uses them together: one
      // that is used means that all are.
      if (config_.parts[taken_ - 1].bytes != config_.buffers->bytes() ||
          !TakeUsed()) [[unlikely]] {
        return Break();
      }
      if (config_.parts[taken_ - 1].bytes == 0) [[unlikely]] {
        return Break();
      }
      bytes += config_.parts[taken_ - 1].bytes;
    }
    // A used length is what was written, that is header and payload.
    if (bytes != uint64_t{header_bytes} + packet.header.len) [[unlikely]] {
      return Break();
    }
    first.data += header_bytes;
    first.bytes -= header_bytes;
    packet.parts = config_.parts;
    packet.part_count = taken_;
    taken_ = 0;
    return true;
  }

  Driver& driver_;
  const VsockReceiverConfig config_;
  uint32_t taken_ = 0;  // Parts of the packet that is looked at.
  bool broken_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_RECEIVER_H_
