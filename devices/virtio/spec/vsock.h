#ifndef DEVICES_VIRTIO_SPEC_VSOCK_H_
#define DEVICES_VIRTIO_SPEC_VSOCK_H_

#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// Socket device, virtio 1.4 §5.10 "Socket Device".

// Feature bits, §5.10.3.
inline constexpr uint32_t kVsockStream = 0;     // VIRTIO_VSOCK_F_STREAM
inline constexpr uint32_t kVsockSeqpacket = 1;  // VIRTIO_VSOCK_F_SEQPACKET
inline constexpr uint32_t kVsockNoImpliedStream =
    2;  // VIRTIO_VSOCK_F_NO_IMPLIED_STREAM

// Not of virtio 1.4: proposed on the list in 2022 (VIRTIO_VSOCK_F_MRG_RXBUF,
// VIRTIO_VSOCK_F_DGRAM) and never agreed upon, nor are their numbers. Bit 2,
// which that proposal has for datagrams, was given to NO_IMPLIED_STREAM.
inline constexpr uint32_t kVsockMrgRxbufDefault = 3;
inline constexpr uint32_t kVsockDgramDefault = 4;

// virtqueues, §5.10.2. With datagrams, a pair for these comes before event.
inline constexpr uint16_t kVsockRxQueue = 0;
inline constexpr uint16_t kVsockTxQueue = 1;
inline constexpr uint16_t kVsockEventQueue = 2;
inline constexpr uint16_t kVsockDgramRxQueue = 2;
inline constexpr uint16_t kVsockDgramTxQueue = 3;
inline constexpr uint16_t kVsockDgramEventQueue = 4;

// struct virtio_vsock_config, §5.10.4: le64 guest_cid.
inline constexpr uint32_t kVsockConfigGuestCid = 0;
inline constexpr uint32_t kVsockConfigBytes = 8;

// Context identifiers, §5.10.4.
inline constexpr uint64_t kVsockHostCid = 2;
inline constexpr uint64_t kVsockFirstGuestCid = 3;  // 0 to 2 are reserved,
inline constexpr uint64_t kVsockLastGuestCid =
    0xfffffffe;  // and so is 0xffffffff.

// struct virtio_vsock_hdr, §5.10.6.
inline constexpr size_t kVsockHeaderSrcCid = 0;    // le64
inline constexpr size_t kVsockHeaderDstCid = 8;    // le64
inline constexpr size_t kVsockHeaderSrcPort = 16;  // le32, as the next two.
inline constexpr size_t kVsockHeaderDstPort = 20;
inline constexpr size_t kVsockHeaderLen = 24;
inline constexpr size_t kVsockHeaderType = 28;   // le16
inline constexpr size_t kVsockHeaderOp = 30;     // le16
inline constexpr size_t kVsockHeaderFlags = 32;  // le32, as the next two.
inline constexpr size_t kVsockHeaderBufAlloc = 36;
inline constexpr size_t kVsockHeaderFwdCnt = 40;
inline constexpr size_t kVsockHeaderBytes = 44;
// Of the proposal, struct virtio_vsock_hdr_mrg_rxbuf: le16 num_buffers behind.
inline constexpr size_t kVsockHeaderNumBuffers = 44;
inline constexpr size_t kVsockMergeableHeaderBytes = 46;

// `type`.
inline constexpr uint16_t kVsockTypeStream = 1;
inline constexpr uint16_t kVsockTypeSeqpacket = 2;
inline constexpr uint16_t kVsockTypeDgram = 3;  // Of the proposal.

// `op`.
inline constexpr uint16_t kVsockOpInvalid = 0;
inline constexpr uint16_t kVsockOpRequest = 1;
inline constexpr uint16_t kVsockOpResponse = 2;
inline constexpr uint16_t kVsockOpRst = 3;
inline constexpr uint16_t kVsockOpShutdown = 4;
inline constexpr uint16_t kVsockOpRw = 5;
inline constexpr uint16_t kVsockOpCreditUpdate = 6;
inline constexpr uint16_t kVsockOpCreditRequest = 7;

// `flags` of SHUTDOWN, §5.10.6.6: permanent hints of who sends it.
inline constexpr uint32_t kVsockShutdownReceive = 1 << 0;  // Receives no more.
inline constexpr uint32_t kVsockShutdownSend = 1 << 1;     // Sends no more.
inline constexpr uint32_t kVsockShutdownBoth =
    kVsockShutdownReceive | kVsockShutdownSend;

// `flags` of RW of type SEQPACKET, §5.10.6.5.
inline constexpr uint32_t kVsockSeqEom = 1 << 0;  // Ends a message.
inline constexpr uint32_t kVsockSeqEor = 1 << 1;  // Ends a record.

// struct virtio_vsock_event, §5.10.6.7: le32 id.
inline constexpr uint32_t kVsockEventBytes = 4;
inline constexpr uint32_t kVsockEventTransportReset = 0;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_VSOCK_H_
