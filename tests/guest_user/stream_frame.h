#ifndef TESTS_GUEST_USER_STREAM_FRAME_H_
#define TESTS_GUEST_USER_STREAM_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "tests/guest_user/stream.h"

namespace annulus::guest_user {

// The headers of a stream's frames. Addresses and ports are those of the lab:
// 10.0.0.1 and fd00::1 send to 10.0.0.2 and fd00::2.

using MacAddress = std::array<uint8_t, 6>;

// Who sends TCP frames; UDP datagrams come from the interface's own.
inline constexpr MacAddress kRawSource = {0x02, 0, 0, 0, 0, 1};

inline constexpr uint16_t kStreamSourcePort = 5000;
inline constexpr uint16_t kStreamPort = 5001;

inline constexpr size_t kMaxStreamHeaderBytes = 128;

// Where the transport's header begins, and in it the checksum.
uint32_t TransportOffset(const StreamSpec& spec);
uint32_t ChecksumOffset(const StreamSpec& spec);

// Writes HeaderBytes(spec) bytes. A TCP frame's sequence number is its number
// in the stream; its checksum field has the sum of the pseudo header, as that
// of a frame with VIRTIO_NET_HDR_F_NEEDS_CSUM does.
void WriteStreamHeader(const StreamSpec& spec, uint64_t sequence,
                       const MacAddress& destination, uint8_t* out);

// Whether `header`, HeaderBytes(spec) of them, are those of the frame. What the
// kernel chooses for a datagram (source MAC address, IPv4 identification, flow
// label) may be anything, if the IPv4 header's checksum says so.
bool IsStreamHeader(const StreamSpec& spec, uint64_t sequence,
                    const MacAddress& destination,
                    absl::Span<const uint8_t> header);

// Whether a frame that begins so is of a stream at all: other frames come along
// an Ethernet, too.
bool IsOfStream(const StreamSpec& spec, absl::Span<const uint8_t> frame);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_STREAM_FRAME_H_
