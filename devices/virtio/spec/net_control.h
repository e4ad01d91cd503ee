#ifndef DEVICES_VIRTIO_SPEC_NET_CONTROL_H_
#define DEVICES_VIRTIO_SPEC_NET_CONTROL_H_

#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// Network device, virtio 1.4 §5.1.6.5 "Control Virtqueue":
// { u8 class; u8 command; data[]; u8 ack; }.
inline constexpr uint8_t kNetControlOk = 0;
inline constexpr uint8_t kNetControlError = 1;

inline constexpr uint8_t kNetControlRx = 0;  // VIRTIO_NET_CTRL_RX: data is a u8
inline constexpr uint8_t kNetControlRxPromisc = 0;
inline constexpr uint8_t kNetControlRxAllMulti = 1;
inline constexpr uint8_t kNetControlRxAllUni = 2;
inline constexpr uint8_t kNetControlRxNoMulti = 3;
inline constexpr uint8_t kNetControlRxNoUni = 4;
inline constexpr uint8_t kNetControlRxNoBcast = 5;

inline constexpr uint8_t kNetControlMac = 1;
inline constexpr uint8_t kNetControlMacTableSet = 0;  // 2 x {le32 n; u8[n][6]}
inline constexpr uint8_t kNetControlMacAddrSet = 1;   // u8[6]

inline constexpr uint8_t kNetControlVlan = 2;
inline constexpr uint8_t kNetControlVlanAdd = 0;  // le16
inline constexpr uint8_t kNetControlVlanDel = 1;

inline constexpr uint8_t kNetControlAnnounce = 3;
inline constexpr uint8_t kNetControlAnnounceAck = 0;  // No data.

inline constexpr uint8_t kNetControlMq = 4;
inline constexpr uint8_t kNetControlMqPairsSet = 0;  // le16
inline constexpr uint8_t kNetControlMqRssConfig = 1;
inline constexpr uint8_t kNetControlMqHashConfig = 2;
inline constexpr uint16_t kNetMaxQueuePairs = 0x8000;

inline constexpr uint8_t kNetControlGuestOffloads = 5;
inline constexpr uint8_t kNetControlGuestOffloadsSet = 0;  // le64

inline constexpr uint8_t kNetControlCoal = 6;       // VIRTIO_NET_CTRL_NOTF_COAL
inline constexpr uint8_t kNetControlCoalTxSet = 0;  // {le32 packets, usecs}
inline constexpr uint8_t kNetControlCoalRxSet = 1;
inline constexpr uint8_t kNetControlCoalVqSet = 2;  // {le16 vq, rsvd; the same}
inline constexpr uint8_t kNetControlCoalVqGet = 3;
inline constexpr size_t kNetControlCoalBytes = 8;  // virtio_net_ctrl_coal

// §5.1.4.1 "Device Requirements: Device configuration layout": what a device
// with RSS or HASH_REPORT supports at least.
inline constexpr size_t kNetRssKeyBytes = 40;
inline constexpr size_t kNetRssTableEntries = 128;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_NET_CONTROL_H_
