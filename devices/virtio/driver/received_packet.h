#ifndef DEVICES_VIRTIO_DRIVER_RECEIVED_PACKET_H_
#define DEVICES_VIRTIO_DRIVER_RECEIVED_PACKET_H_

#include <cstdint>

#include "devices/virtio/driver/received_header.h"

// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

// Which piece of memory: a page by its number in the pages' pool, or a small
// buffer by its number in theirs.
class ReceivePiece {
 public:
  constexpr ReceivePiece() = default;
  static constexpr ReceivePiece Page(uint32_t number) {
    return ReceivePiece(number);
  }
  static constexpr ReceivePiece Small(uint32_t number) {
    return ReceivePiece(number | kSmall);
  }
  constexpr bool small() const { return (value_ & kSmall) != 0; }
  constexpr uint32_t number() const { return value_ & ~kSmall; }

 private:
  static constexpr uint32_t kSmall = 1u << 31;
  explicit constexpr ReceivePiece(uint32_t value) : value_(value) {}
  uint32_t value_ = 0;
};

// Consecutive bytes of a packet, all in one piece.
struct PacketPart {
  uint8_t* data = nullptr;
  uint32_t bytes = 0;
  ReceivePiece piece;
};

// A packet that was received. Its bytes are in memory that the device was given
// to write to.
struct ReceivedPacket {
  // The largest frame in pages of 4096, with a small buffer before each of them
  // and one behind, and some.
  static constexpr uint32_t kMaxParts = 40;

  ReceivedHeader net_header;

  // If it was split: its Ethernet, IP and transport headers, hdr_len of them.
  // `parts` is then the payload alone, else the whole frame.
  bool split = false;
  const uint8_t* header = nullptr;
  uint32_t header_bytes = 0;
  // Where the header lies, unless it is in a slot, whose index the virtio-net
  // header has.
  ReceivePiece header_piece;
  bool header_in_slot = false;

  // Of all parts.
  uint32_t bytes = 0;
  uint32_t part_count = 0;
  PacketPart parts[kMaxParts];
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_RECEIVED_PACKET_H_
