#include "tests/guest_user/stream.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace annulus::guest_user {
namespace {

constexpr uint32_t kEthernetBytes = 14;
constexpr uint32_t kTcpTimestampBytes = 12;
// The longest frame that Linux hands to an interface without cutting it into
// segments: gso_max_size, without which IPv4 would allow 14 bytes more.
constexpr uint32_t kMaxGsoFrameBytes = 65535;

uint32_t IpBytes(const StreamSpec& spec) { return IsIpv4(spec) ? 20 : 40; }

uint32_t TransportBytes(const StreamSpec& spec) {
  if (!IsTcp(spec)) return 8;
  return 20 + (spec.timestamps ? kTcpTimestampBytes : 0);
}

uint32_t GsoPayloadBytes(const StreamSpec& spec) {
  return kMaxGsoFrameBytes - HeaderBytes(spec);
}

// Word `index` of a payload. The factors are odd, so each input goes through.
uint64_t WordOf(const StreamSpec& spec, uint64_t sequence, uint64_t index) {
  if (index == 0) return sequence;
  uint64_t word = spec.seed * 0x9e3779b97f4a7c15 +
                  sequence * 0xbf58476d1ce4e5b9 + index * 0x94d049bb133111eb;
  word ^= word >> 31;
  word *= 0xd6e8feb86659fd93;
  return word ^ word >> 32;
}

}  // namespace

bool IsTcp(const StreamSpec& spec) {
  return spec.protocol == StreamProtocol::kTcp4 ||
         spec.protocol == StreamProtocol::kTcp6;
}

bool IsIpv4(const StreamSpec& spec) {
  return spec.protocol == StreamProtocol::kTcp4 ||
         spec.protocol == StreamProtocol::kUdp4;
}

FrameKind KindOf(const StreamSpec& spec, uint64_t sequence) {
  if (!IsTcp(spec)) return FrameKind::kData;
  if (spec.mixed && sequence % 16 == 7) return FrameKind::kPureAck;
  if (spec.mixed && IsIpv4(spec) && sequence % 16 == 11) {
    return FrameKind::kFragment;
  }
  if (spec.gso && sequence % 4 == 1) return FrameKind::kGso;
  return FrameKind::kData;
}

uint32_t PayloadBytes(const StreamSpec& spec, uint64_t sequence) {
  switch (KindOf(spec, sequence)) {
    case FrameKind::kPureAck:
      return 0;
    case FrameKind::kGso:
      return GsoPayloadBytes(spec);
    case FrameKind::kData:
    case FrameKind::kFragment:
      break;
  }
  return spec.payload_bytes;
}

uint32_t HeaderBytes(const StreamSpec& spec) {
  return kEthernetBytes + IpBytes(spec) + TransportBytes(spec);
}

uint32_t MaxPayloadBytes(const StreamSpec& spec) {
  return spec.gso ? std::max(GsoPayloadBytes(spec), spec.payload_bytes)
                  : spec.payload_bytes;
}

void FillPayload(const StreamSpec& spec, uint64_t sequence,
                 absl::Span<uint8_t> payload) {
  for (size_t at = 0; at < payload.size(); at += 8) {
    const uint64_t word = WordOf(spec, sequence, at / 8);
    std::memcpy(&payload[at], &word, std::min<size_t>(8, payload.size() - at));
  }
}

bool IsPayload(const StreamSpec& spec, uint64_t sequence, uint64_t offset,
               absl::Span<const uint8_t> bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    const uint64_t word = WordOf(spec, sequence, (offset + at) / 8);
    const size_t within = (offset + at) % 8;
    const size_t count = std::min<size_t>(8 - within, bytes.size() - at);
    uint8_t expected[8];
    std::memcpy(expected, &word, 8);
    if (std::memcmp(&bytes[at], expected + within, count) != 0) return false;
    at += count;
  }
  return true;
}

}  // namespace annulus::guest_user
