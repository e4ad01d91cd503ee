#ifndef DEVICES_VIRTIO_SPEC_NET_HEADER_SPLIT_H_
#define DEVICES_VIRTIO_SPEC_NET_HEADER_SPLIT_H_

#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// Header-split receive: what virtio 1.4 does not have. The Technical Committee
// discussed it as "split transport header" (patches v1 to v8, 2022 and 2023)
// and as a queue of header buffers, and took neither. The numbers are this
// project's own, chosen not to collide with 1.4, and every one can be changed
// in the configuration. docs/header_split.md is the whole definition.
//
// Freestanding: the microguest is built with this, too.
struct HeaderSplitNumbers {
  // VIRTIO_NET_F_SPLIT_TRANSPORT_HEADER and VIRTIO_NET_F_HDR_BUF_QUEUE.
  uint32_t split_feature = 58;
  uint32_t header_queue_feature = 4;
  // VIRTIO_NET_HDR_F_SPLIT_HEADER in virtio_net_hdr.flags.
  uint8_t header_flag = 0x80;
  // Classes of the control virtqueue.
  uint8_t split_class = 0x80;         // VIRTIO_NET_CTRL_SPLIT_TRANSPORT_HEADER
  uint8_t header_queue_class = 0x81;  // VIRTIO_NET_CTRL_HDR_BUF_QUEUE

  friend constexpr bool operator==(const HeaderSplitNumbers&,
                                   const HeaderSplitNumbers&) = default;
};

// What kind of packet is split: bits of le64 type.
inline constexpr uint64_t kSplitTcp4 = 1 << 0;
inline constexpr uint64_t kSplitTcp6 = 1 << 1;
inline constexpr uint64_t kSplitUdp4 = 1 << 2;
inline constexpr uint64_t kSplitUdp6 = 1 << 3;
inline constexpr uint64_t kSplitAllTypes =
    kSplitTcp4 | kSplitTcp6 | kSplitUdp4 | kSplitUdp6;

// Commands of the first class. Numbers are little-endian.
inline constexpr uint8_t kSplitSet = 0;   // {le64 type}
inline constexpr uint8_t kSplitSet2 = 1;  // {le64 type; le32 hds_thresh;
                                          //  le16 mode; le16 hdr_buf_len}
inline constexpr uint8_t kSplitCapGet = 2;
// The command-specific-result of CAP_GET: {le64 types; le32 modes; le32
// max_hdr}. Bit n of modes: mode n is possible.
inline constexpr size_t kSplitCapBytes = 16;

// Modes: where a header and a payload go.
inline constexpr uint16_t kSplitModeAutomatic = 0;  // B if MRG_RXBUF, else A.
inline constexpr uint16_t kSplitModeChain = 1;      // Method A.
inline constexpr uint16_t kSplitModeBuffers = 2;    // Method B.
inline constexpr uint16_t kSplitModeSmallBuffers = 3;  // Method C.

// Commands of the second class.
inline constexpr uint8_t kHeaderQueueCapGet = 0;
// {le16 id, buf_size, log_entries, flags; le64 buf_base, tail_addr, types;
//  le32 hds_thresh, reserved}
inline constexpr uint8_t kHeaderQueueCreate = 1;
inline constexpr uint8_t kHeaderQueueAttach = 2;      // {le16 vq_index, id}
inline constexpr uint8_t kHeaderQueueDestroy = 3;     // {le16 id}
inline constexpr uint16_t kHeaderQueueNone = 0xffff;  // ATTACH: detach.
// The command-specific-result of CAP_GET: {le16 max_queues, min_buf_size,
// max_buf_size, max_log_entries; le64 types; le32 flags, reserved}.
inline constexpr size_t kHeaderQueueCapBytes = 24;

// Slots: a multiple of 64 bytes, at a multiple of 64.
inline constexpr uint16_t kHeaderSlotAlignment = 64;
inline constexpr uint16_t kMinHeaderSlotBytes = 64;
inline constexpr uint16_t kDefaultHeaderSlotBytes = 128;
inline constexpr uint16_t kMaxHeaderSlotBytes = 1024;
// Indices are of 16 bits and run freely, so full and empty can be told apart.
inline constexpr uint16_t kMaxHeaderQueueLog = 15;

// With VIRTIO_NET_F_HDR_BUF_QUEUE every virtio-net header, in either
// direction, is longer by {le16 hdr_buf_index, hdr_buf_id; le32 reserved}.
inline constexpr size_t kNetHeaderQueueFieldBytes = 8;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_NET_HEADER_SPLIT_H_
