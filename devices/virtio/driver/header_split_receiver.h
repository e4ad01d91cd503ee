#ifndef DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_H_
#define DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_header.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {

// Where the driver expects header and payload of a split packet
// (docs/header_split.md).
enum class ReceiveMethod : uint8_t {
  kNone,          // Nothing is split, or nobody here looks.
  kChain,         // A: the first descriptor of a chain has the header.
  kBuffers,       // B: mergeable buffers, the first has the header.
  kSmallBuffers,  // C: the same, of small buffers and pages in turn.
  kHeaderQueue,   // Q: a slot has the header.
};

// How a receiver is to make and to read buffers. All that it points to outlives
// the receiver.
//
//   method     buffers                       mergeable
//   none, Q    [small,] pages_per_buffer     either
//   A          small, pages_per_buffer       no
//   B          one page                      yes
//   C          a small one and a page in turn  yes
//
// With none and Q, a small piece of exactly header.bytes() takes the virtio-net
// header, so that the packet begins at the start of a page; without one, it
// begins behind the virtio-net header in the first page.
struct HeaderSplitReceiverConfig {
  // Of a chain: the largest frame has room in so many of 4096.
  static constexpr uint32_t kMaxPages = 17;

  ReceiveMethod method = ReceiveMethod::kNone;
  bool mergeable = false;  // VIRTIO_NET_F_MRG_RXBUF was negotiated.
  ReceivedHeaderLayout header = {};
  uint8_t split_flag = HeaderSplitNumbers().header_flag;
  ReceivePool* pages = nullptr;     // Of 4096 bytes or more.
  ReceivePool* small = nullptr;     // Or null; of header.bytes() or more.
  uint16_t pages_per_buffer = 1;    // Up to kMaxPages.
  HeaderSlotRing* slots = nullptr;  // Q.
  // For each id of the ring as many as a buffer has elements, that is
  // ring size * elements_per_buffer(); private to the driver.
  ReceivePiece* in_flight = nullptr;

  uint32_t elements_per_buffer() const {
    return method == ReceiveMethod::kSmallBuffers
               ? 1
               : pages_per_buffer + (small != nullptr ? 1u : 0u);
  }
  // Whether the table above allows it.
  bool Usable() const;
};

// Driver side of a receiveq with header split, without a copy: a packet's pages
// belong to the caller until they are given back, and the ring is filled up
// with others meanwhile.
//
//   receiver.Post();
//   if (driver.NeedsNotification()) ... notify ...
//   ReceivedPacket packet;
//   while (receiver.GetPacket(packet)) {
//     ... keep the pages of packet.parts; look at packet.header ...
//     receiver.ReleaseHeader(packet);
//   }
//   ... later, for each part: receiver.Release(part.piece); ...
//
// `Driver` is PackedDriver or SplitDriver. Header-only and freestanding.
//
// Threads: thread-compatible; one owner, who owns the pools and slots as well.
// Trust: the device is not trusted: number and length of buffers, the length of
//   the header and the slot are checked before they are used. A violation sets
//   broken(); no packet comes then any more, and its memory is free again. The
//   bytes of packets are in memory that the device may go on writing to.
// Allocation: none.
template <typename Driver>
class HeaderSplitReceiver {
 public:
  // REQUIRES: config.Usable(); nothing is in flight in `driver`.
  HeaderSplitReceiver(Driver& driver, const HeaderSplitReceiverConfig& config)
      : driver_(driver), config_(config) {}

  // Hot. Makes buffers available until ring or pools have no more, and shows
  // them and the released slots to the device. Returns how many; whether the
  // device is to be notified is for driver.NeedsNotification().
  uint32_t Post();

  // Hot. Takes the next packet. False: there is none, or broken(), and `packet`
  // is of no meaning.
  bool GetPacket(ReceivedPacket& packet) {
    if (TakePacket(packet)) [[likely]] {
      return true;
    }
    if (broken_) Abandon(packet);
    return false;
  }

  // Hot. What the caller does with a packet, once each: gives back the memory
  // of its header, and of each part; or of all.
  void ReleaseHeader(const ReceivedPacket& packet);
  void Release(ReceivePiece piece) { PoolOf(piece).Put(piece.number()); }
  void ReleaseAll(const ReceivedPacket& packet) {
    ReleaseHeader(packet);
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      Release(packet.parts[i].piece);
    }
  }

  // After a reset of the device or of this queue: what was in flight goes back
  // to the pools, and all begins anew. Packets that were taken stay the
  // caller's. Slots are another matter: HeaderSlotRing::Reset().
  void Restart();

  bool broken() const { return broken_; }

 private:
  bool Break() {
    broken_ = true;
    return false;
  }

  ReceivePool& PoolOf(ReceivePiece piece) {
    return piece.small() ? *config_.small : *config_.pages;
  }
  // Of a buffer, the piece of its element.
  ReceivePiece& InFlight(uint16_t id, uint32_t element) {
    return config_
        .in_flight[uint32_t{id} * config_.elements_per_buffer() + element];
  }

  bool TakeUsed(uint32_t* len);
  bool TakePacket(ReceivedPacket& packet);
  void Abandon(ReceivedPacket& packet);
  bool PostOne(bool small);
  bool PostChain();
  uint32_t BufferBytes();
  bool TakeFirst(uint32_t len, uint32_t buffers, ReceivedPacket& packet);
  bool TakeHeader(uint32_t len, uint32_t buffers, ReceivedPacket& packet);
  bool TakeSlot(ReceivedPacket& packet);
  bool TakeFurther(bool last, ReceivedPacket& packet);
  bool AddParts(uint32_t element, uint32_t skip, uint32_t bytes,
                ReceivedPacket& packet);

  static constexpr uint32_t kMaxElements =
      HeaderSplitReceiverConfig::kMaxPages + 1;

  Driver& driver_;
  const HeaderSplitReceiverConfig config_;
  bool page_next_ = false;  // C: a small buffer is the last that was posted.
  bool broken_ = false;
  // The used buffer that is looked at, until its pieces are the packet's or
  // free; else kNoDriverBuffer.
  uint16_t used_ = kNoDriverBuffer;
};

}  // namespace annulus::virtio

#include "devices/virtio/driver/header_split_receiver_inl.h"  // IWYU pragma: export

#endif  // DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_RECEIVER_H_
