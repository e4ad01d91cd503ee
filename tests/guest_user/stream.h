#ifndef TESTS_GUEST_USER_STREAM_H_
#define TESTS_GUEST_USER_STREAM_H_

#include <cstdint>

#include "absl/types/span.h"

namespace annulus::guest_user {

// The frames that hs_send sends and hs_receive expects: frame by frame, byte by
// byte. Both programs are told the same numbers and then know everything.

enum class StreamProtocol : uint8_t { kTcp4, kTcp6, kUdp4, kUdp6 };

struct StreamSpec {
  StreamProtocol protocol = StreamProtocol::kTcp4;
  uint64_t seed = 1;
  uint64_t frames = 1000;
  uint32_t payload_bytes = 4096;  // Of an ordinary frame, at least 8.
  // TCP only:
  bool timestamps = true;  // The option: H = 66 over IPv4.
  bool gso = false;        // Every fourth frame is a segment of 64 KiB.
  bool mixed = false;      // Some frames are pure ACKs, some IPv4 fragments.
};

enum class FrameKind : uint8_t {
  kData,
  kGso,       // Is not cut into segments on its way.
  kPureAck,   // Has no payload: is not split.
  kFragment,  // The first fragment of an IPv4 packet: is not split.
};

bool IsTcp(const StreamSpec& spec);
bool IsIpv4(const StreamSpec& spec);

// Frames are numbered from 0.
FrameKind KindOf(const StreamSpec& spec, uint64_t sequence);
uint32_t PayloadBytes(const StreamSpec& spec, uint64_t sequence);

// All frames of a stream have headers of the same length: Ethernet to the end
// of TCP or UDP.
uint32_t HeaderBytes(const StreamSpec& spec);

// The longest payload of the stream.
uint32_t MaxPayloadBytes(const StreamSpec& spec);

// A payload is its frame's number, 8 bytes, and then what looks like noise: no
// two places of a stream have the same 8 bytes.
void FillPayload(const StreamSpec& spec, uint64_t sequence,
                 absl::Span<uint8_t> payload);

// Whether `bytes` are what belongs at `offset` of that payload.
bool IsPayload(const StreamSpec& spec, uint64_t sequence, uint64_t offset,
               absl::Span<const uint8_t> bytes);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_STREAM_H_
