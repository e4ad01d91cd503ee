#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_TRANSMITTER_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_TRANSMITTER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/vsock_packet.h"

namespace annulus::virtio {

// What a VsockTransmitter works with. All of it outlives the transmitter.
struct VsockTransmitterConfig {
  bool mergeable = false;  // MRG_RXBUF was negotiated: longer headers.
  // Pieces of memory for one packet each: kVsockTransmitPayload bytes for the
  // header, and then room for payload.
  ReceivePool* buffers = nullptr;
  uint16_t* in_flight = nullptr;  // As many as the ring has descriptors.
};

// Where payload begins in a transmitter's buffer.
inline constexpr uint32_t kVsockTransmitPayload = 64;

// Driver side of a socket device's tx virtqueue, or of that for datagrams.
// Header and payload are two elements, as Linux sends them.
//
//   uint8_t* room = transmitter.Room();
//   if (room != nullptr) {
//     ... at most transmitter.room_bytes() to *room ...
//     transmitter.Send({... .len = bytes ...});
//     if (driver.NeedsNotification()) ... notify ...
//   }
//
// `Driver` is PackedDriver or SplitDriver. Header-only and freestanding.
//
// Threads: thread-compatible; one owner, who owns the pool as well.
// Trust: the device says nothing here but which buffers it has used, which is
//   checked; a violation sets broken(), and there is no room then any more.
// Allocation: none.
template <typename Driver>
class VsockTransmitter {
 public:
  VsockTransmitter(Driver& driver, const VsockTransmitterConfig& config)
      : driver_(driver), config_(config) {}

  bool mergeable() const { return config_.mergeable; }

  // Of payload in one packet.
  uint32_t room_bytes() const {
    return config_.buffers->bytes() - kVsockTransmitPayload;
  }

  // Hot. Takes back what the device has used. What was used last is in the
  // caches, and is taken first again.
  void Reclaim() {
    uint16_t id;
    uint32_t len;
    while (driver_.GetUsed(&id, &len)) {
      config_.buffers->Put(config_.in_flight[id]);
    }
  }

  // Packets for which there is room, at least; without looking for used ones.
  uint32_t free_packets() const {
    const uint32_t in_ring = driver_.free_descriptors() / 2;
    const uint32_t buffers = config_.buffers->free_count();
    return broken() ? 0 : in_ring < buffers ? in_ring : buffers;
  }

  // Hot. Where the payload of the next packet goes. Null: there is no room.
  uint8_t* Room() {
    Reclaim();
    if (free_packets() == 0) return nullptr;
    return config_.buffers->HostOf(config_.buffers->Peek(0)) +
           kVsockTransmitPayload;
  }

  // Hot. Makes a packet available whose payload is the first header.len bytes
  // of Room(). REQUIRES: free_packets() is not 0, header.len <= room_bytes().
  void Send(const VsockHeader& header) {
    ReceivePool& pool = *config_.buffers;
    const uint32_t number = pool.Peek(0);
    WriteVsockHeader(header, config_.mergeable, pool.HostOf(number));
    const DriverElement elements[] = {
        {.addr = pool.AddrOf(number),
         .len = VsockHeaderBytes(config_.mergeable)},
        {.addr = pool.AddrOf(number) + kVsockTransmitPayload,
         .len = header.len}};
    const uint16_t id =
        driver_.Add(elements, header.len == 0 ? 1 : 2, nullptr, 0);
    if (id == kNoDriverBuffer) [[unlikely]] {
      return;  // Not reached: see REQUIRES.
    }
    pool.Take(1);
    config_.in_flight[id] = static_cast<uint16_t>(number);
  }

  // After a reset of the device or of this queue: packets in flight are lost,
  // and all begins anew.
  void Restart() {
    uint16_t id;
    while (driver_.DetachUnused(&id)) {
      config_.buffers->Put(config_.in_flight[id]);
    }
    driver_.Reset();
  }

  bool broken() const { return driver_.broken(); }

 private:
  Driver& driver_;
  const VsockTransmitterConfig config_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_TRANSMITTER_H_
