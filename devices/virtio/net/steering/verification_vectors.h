#ifndef DEVICES_VIRTIO_NET_STEERING_VERIFICATION_VECTORS_H_
#define DEVICES_VIRTIO_NET_STEERING_VERIFICATION_VECTORS_H_

#include <cstdint>
#include <vector>

#include "devices/virtio/net/steering/test_frame.h"

// For tests: the key, the flows and their hashes that Microsoft publishes for
// the verification of receive-side scaling ("Verifying the RSS Hash
// Calculation", Windows driver documentation).

namespace annulus::virtio {

inline const FrameBytes& VerificationKey() {
  static const FrameBytes key = {
      0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
      0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
      0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  return key;
}

struct VerificationVector {
  FrameBytes source;
  FrameBytes destination;
  uint16_t source_port;
  uint16_t destination_port;
  uint32_t addresses_hash;
  uint32_t ports_hash;  // Of addresses and ports.
};

inline const std::vector<VerificationVector>& Ipv4Vectors() {
  static const std::vector<VerificationVector> vectors = {
      {{66, 9, 149, 187},
       {161, 142, 100, 80},
       2794,
       1766,
       0x323e8fc2,
       0x51ccc178},
      {{199, 92, 111, 2},
       {65, 69, 140, 83},
       14230,
       4739,
       0xd718262a,
       0xc626b0ea},
      {{24, 19, 198, 95},
       {12, 22, 207, 184},
       12898,
       38024,
       0xd2d0a5de,
       0x5c2b394a},
      {{38, 27, 205, 30},
       {209, 142, 163, 6},
       48228,
       2217,
       0x82989176,
       0xafc7327f},
      {{153, 39, 163, 191},
       {202, 188, 127, 2},
       44251,
       1303,
       0x5d1809c5,
       0x10e828a2},
  };
  return vectors;
}

inline const std::vector<VerificationVector>& Ipv6Vectors() {
  static const std::vector<VerificationVector> vectors = {
      {Ipv6Address({0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7}),
       Ipv6Address({0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1}), 2794, 1766,
       0x2cc18cd5, 0x40207d3d},
      {Ipv6Address({0x3ffe, 0x501, 8, 0, 0x260, 0x97ff, 0xfe40, 0xefab}),
       Ipv6Address({0xff02, 0, 0, 0, 0, 0, 0, 1}), 14230, 4739, 0x0f0c461c,
       0xdde51bbf},
      {Ipv6Address({0x3ffe, 0x1900, 0x4545, 3, 0x200, 0xf8ff, 0xfe21, 0x67cf}),
       Ipv6Address({0xfe80, 0, 0, 0, 0x200, 0xf8ff, 0xfe21, 0x67cf}), 44251,
       38024, 0x4b61e985, 0x02d1feef},
  };
  return vectors;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_VERIFICATION_VECTORS_H_
