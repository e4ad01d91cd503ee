#ifndef TESTS_GUEST_USER_RECEIVE_MEMORY_H_
#define TESTS_GUEST_USER_RECEIVE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/header_split_commands.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_header.h"
#include "devices/virtio/driver/received_packet.h"
#include "tests/guest_user/dma_memory.h"
#include "tests/guest_user/receive_options.h"

namespace annulus::guest_user {

// The memory that a receiver of one method takes: pages, small buffers and
// header slots, enough to fill its ring and a second one.
//
// Threads: thread-compatible.
class ReceiveMemory {
 public:
  // All that a run needs, with its rings.
  static size_t BytesNeeded(const ReceiveOptions& options);

  // `memory` outlives it.
  ReceiveMemory(DmaMemory& memory, const ReceiveOptions& options);

  // Points into this object.
  virtio::HeaderSplitReceiverConfig ReceiverConfig();

  // Of the virtio-net header, in both directions.
  virtio::ReceivedHeaderLayout header_layout() const;

  // Method A: what the device has no business with, behind the header that it
  // put into a small buffer, is as it was.
  bool IsHoldUntouched(const virtio::ReceivedPacket& packet) const;
  // Makes the small buffers of a packet, before they are released, what they
  // were for that.
  void RestoreHold(const virtio::ReceivedPacket& packet);

  // The command that names the slots to the device. REQUIRES: method Q.
  const virtio::HeaderQueueCreate& header_queue() const { return create_; }

  // Bytes of the small buffers of method C.
  static constexpr uint16_t kSmallBytes = 256;

 private:
  void AddPages(DmaMemory& memory);
  void AddSmall(DmaMemory& memory, uint32_t bytes);
  void AddSlots(DmaMemory& memory);

  const ReceiveOptions options_;
  std::vector<uint64_t> page_addrs_;
  std::vector<uint32_t> free_pages_, free_small_;
  std::vector<uint8_t> slots_in_driver_;
  std::vector<virtio::ReceivePiece> in_flight_;
  std::optional<virtio::ReceivePool> pages_, small_;
  std::optional<virtio::HeaderSlotRing> slots_;
  virtio::HeaderQueueCreate create_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_RECEIVE_MEMORY_H_
