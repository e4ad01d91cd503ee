#ifndef DEVICES_VIRTIO_SPEC_NET_H_
#define DEVICES_VIRTIO_SPEC_NET_H_

#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// Network device, virtio 1.4 §5.1 "Network Device": feature bits, the header of
// each frame and the configuration space. The control queue has a file of its
// own, net_control.h.

// §5.1.3 "Feature bits".
inline constexpr uint32_t kNetCsum = 0;               // VIRTIO_NET_F_CSUM
inline constexpr uint32_t kNetGuestCsum = 1;          // .._GUEST_CSUM
inline constexpr uint32_t kNetCtrlGuestOffloads = 2;  // CTRL_GUEST_OFFLOADS
inline constexpr uint32_t kNetMtu = 3;                // VIRTIO_NET_F_MTU
inline constexpr uint32_t kNetMac = 5;                // VIRTIO_NET_F_MAC
inline constexpr uint32_t kNetGuestTso4 = 7;          // .._GUEST_TSO4
inline constexpr uint32_t kNetGuestTso6 = 8;          // .._GUEST_TSO6
inline constexpr uint32_t kNetGuestEcn = 9;           // .._GUEST_ECN
inline constexpr uint32_t kNetGuestUfo = 10;          // .._GUEST_UFO
inline constexpr uint32_t kNetHostTso4 = 11;          // .._HOST_TSO4
inline constexpr uint32_t kNetHostTso6 = 12;          // .._HOST_TSO6
inline constexpr uint32_t kNetHostEcn = 13;           // .._HOST_ECN
inline constexpr uint32_t kNetHostUfo = 14;           // .._HOST_UFO
inline constexpr uint32_t kNetMrgRxbuf = 15;          // .._MRG_RXBUF
inline constexpr uint32_t kNetStatus = 16;            // .._STATUS
inline constexpr uint32_t kNetCtrlVq = 17;            // .._CTRL_VQ
inline constexpr uint32_t kNetCtrlRx = 18;            // .._CTRL_RX
inline constexpr uint32_t kNetCtrlVlan = 19;          // .._CTRL_VLAN
inline constexpr uint32_t kNetCtrlRxExtra = 20;       // .._CTRL_RX_EXTRA
inline constexpr uint32_t kNetGuestAnnounce = 21;     // .._GUEST_ANNOUNCE
inline constexpr uint32_t kNetMq = 22;                // .._MQ
inline constexpr uint32_t kNetCtrlMacAddr = 23;       // .._CTRL_MAC_ADDR
inline constexpr uint32_t kNetDeviceStats = 50;       // .._DEVICE_STATS
inline constexpr uint32_t kNetVqNotfCoal = 52;        // .._VQ_NOTF_COAL
inline constexpr uint32_t kNetNotfCoal = 53;          // .._NOTF_COAL
inline constexpr uint32_t kNetGuestUso4 = 54;         // .._GUEST_USO4
inline constexpr uint32_t kNetGuestUso6 = 55;         // .._GUEST_USO6
inline constexpr uint32_t kNetHostUso = 56;           // .._HOST_USO
inline constexpr uint32_t kNetHashReport = 57;        // .._HASH_REPORT
inline constexpr uint32_t kNetGuestHdrlen = 59;       // .._GUEST_HDRLEN
inline constexpr uint32_t kNetRss = 60;               // .._RSS
inline constexpr uint32_t kNetSpeedDuplex = 63;       // .._SPEED_DUPLEX

// §5.1.6 "Device Operation": virtio_net_hdr. Fields are little-endian; this is
// a copy in host order, see net_header.h of devices/virtio/net.
inline constexpr size_t kNetHeaderBytes = 12;
inline constexpr size_t kNetHeaderHashBytes = 20;  // With HASH_REPORT.

inline constexpr uint8_t kNetHeaderNeedsCsum = 1;  // VIRTIO_NET_HDR_F_*
inline constexpr uint8_t kNetHeaderDataValid = 2;
inline constexpr uint8_t kNetHeaderRscInfo = 4;

inline constexpr uint8_t kNetGsoNone = 0;  // VIRTIO_NET_HDR_GSO_*
inline constexpr uint8_t kNetGsoTcpv4 = 1;
inline constexpr uint8_t kNetGsoUdp = 3;
inline constexpr uint8_t kNetGsoTcpv6 = 4;
inline constexpr uint8_t kNetGsoUdpL4 = 5;
inline constexpr uint8_t kNetGsoEcn = 0x80;  // May be added to the others.

// §5.1.4 "Device configuration layout": offsets in bytes.
inline constexpr uint32_t kNetConfigMac = 0;
inline constexpr uint32_t kNetConfigStatus = 6;
inline constexpr uint32_t kNetConfigMaxPairs = 8;
inline constexpr uint32_t kNetConfigMtu = 10;
inline constexpr uint32_t kNetConfigSpeed = 12;
inline constexpr uint32_t kNetConfigDuplex = 16;
inline constexpr uint32_t kNetConfigRssMaxKeySize = 17;
inline constexpr uint32_t kNetConfigRssMaxTable = 18;
inline constexpr uint32_t kNetConfigHashTypes = 20;
inline constexpr uint32_t kNetConfigBytes = 24;

inline constexpr uint16_t kNetStatusLinkUp = 1;  // VIRTIO_NET_S_LINK_UP
inline constexpr uint16_t kNetStatusAnnounce = 2;

// "a value of 1 for full duplex" (§5.1.4): one normative sentence says the
// opposite; drivers take it for ethtool's DUPLEX_FULL.
inline constexpr uint8_t kNetDuplexHalf = 0;
inline constexpr uint8_t kNetDuplexFull = 1;
inline constexpr uint8_t kNetDuplexUnknown = 0xff;
inline constexpr uint32_t kNetSpeedUnknown = 0xffffffff;

// The largest frame: "65589 bytes long (14 bytes of Ethernet header, plus 40
// bytes of the IPv6 header, plus 65535 bytes of maximum IPv6 payload" (§5.1.6.3
// "Setting Up Receive Buffers"), and a VLAN tag.
inline constexpr size_t kNetMaxFrameBytes = 65589 + 4;

// Hash types, §5.1.6.4.3.1 "Supported/enabled hash types": bit numbers. What a
// frame's header reports is the number + 1, and 0 for none.
inline constexpr uint32_t kNetHashIpv4 = 0;
inline constexpr uint32_t kNetHashTcpv4 = 1;
inline constexpr uint32_t kNetHashUdpv4 = 2;
inline constexpr uint32_t kNetHashIpv6 = 3;
inline constexpr uint32_t kNetHashTcpv6 = 4;
inline constexpr uint32_t kNetHashUdpv6 = 5;
inline constexpr uint32_t kNetHashIpEx = 6;
inline constexpr uint32_t kNetHashTcpEx = 7;
inline constexpr uint32_t kNetHashUdpEx = 8;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_NET_H_
