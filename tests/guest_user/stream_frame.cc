#include "tests/guest_user/stream_frame.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

namespace annulus::guest_user {
namespace {

constexpr uint32_t kEthernetBytes = 14;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kSource4[] = {10, 0, 0, 1};
constexpr uint8_t kDestination4[] = {10, 0, 0, 2};
constexpr uint8_t kSource6[] = {0xfd, 0, 0, 0, 0, 0, 0, 0,
                                0,    0, 0, 0, 0, 0, 0, 1};
constexpr uint8_t kDestination6[] = {0xfd, 0, 0, 0, 0, 0, 0, 0,
                                     0,    0, 0, 0, 0, 0, 0, 2};

void Put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

void Put32(uint8_t* at, uint32_t value) {
  Put16(at, value >> 16);
  Put16(at + 2, value & 0xffff);
}

uint32_t Get16(const uint8_t* at) { return uint32_t{at[0]} << 8 | at[1]; }

// Of an even number of bytes, RFC 1071, not yet complemented.
uint32_t Sum(absl::Span<const uint8_t> bytes, uint32_t sum) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += Get16(&bytes[i]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// `length`: of the transport's header and the payload.
uint32_t PseudoHeaderSum(const StreamSpec& spec, uint32_t length) {
  const uint32_t sum = length + (IsTcp(spec) ? kTcp : kUdp);
  return IsIpv4(spec) ? Sum(kSource4, Sum(kDestination4, sum))
                      : Sum(kSource6, Sum(kDestination6, sum));
}

void WriteIpv4(const StreamSpec& spec, uint64_t sequence, uint32_t length,
               uint8_t* ip) {
  const bool fragment = KindOf(spec, sequence) == FrameKind::kFragment;
  ip[0] = 0x45;
  Put16(ip + 2, 20 + length);
  Put16(ip + 4, static_cast<uint32_t>(sequence & 0xffff));
  Put16(ip + 6, fragment ? 0x2000 : 0x4000);  // MF or DF.
  ip[8] = 64;
  ip[9] = IsTcp(spec) ? kTcp : kUdp;
  std::memcpy(ip + 12, kSource4, 4);
  std::memcpy(ip + 16, kDestination4, 4);
  Put16(ip + 10, ~Sum({ip, 20}, 0) & 0xffff);
}

void WriteIpv6(const StreamSpec& spec, uint32_t length, uint8_t* ip) {
  ip[0] = 0x60;
  Put16(ip + 4, length);
  ip[6] = IsTcp(spec) ? kTcp : kUdp;
  ip[7] = 64;
  std::memcpy(ip + 8, kSource6, 16);
  std::memcpy(ip + 24, kDestination6, 16);
}

void WriteTcp(const StreamSpec& spec, uint64_t sequence, uint8_t* tcp) {
  Put32(tcp + 4, static_cast<uint32_t>(sequence));
  Put32(tcp + 8, 1);
  tcp[12] = spec.timestamps ? 0x80 : 0x50;
  tcp[13] = 0x10;  // ACK
  Put16(tcp + 14, 0xffff);
  if (!spec.timestamps) return;
  tcp[20] = 1;  // Two bytes of padding, then the option.
  tcp[21] = 1;
  tcp[22] = 8;
  tcp[23] = 10;
  Put32(tcp + 24, static_cast<uint32_t>(sequence));
  Put32(tcp + 28, static_cast<uint32_t>(spec.seed));
}

}  // namespace

uint32_t TransportOffset(const StreamSpec& spec) {
  return kEthernetBytes + (IsIpv4(spec) ? 20 : 40);
}

uint32_t ChecksumOffset(const StreamSpec& spec) { return IsTcp(spec) ? 16 : 6; }

void WriteStreamHeader(const StreamSpec& spec, uint64_t sequence,
                       const MacAddress& destination, uint8_t* out) {
  const uint32_t at = TransportOffset(spec);
  const uint32_t length = HeaderBytes(spec) - at + PayloadBytes(spec, sequence);
  std::memset(out, 0, HeaderBytes(spec));
  std::copy(destination.begin(), destination.end(), out);
  std::copy(kRawSource.begin(), kRawSource.end(), out + 6);
  Put16(out + 12, IsIpv4(spec) ? 0x0800 : 0x86dd);
  if (IsIpv4(spec)) {
    WriteIpv4(spec, sequence, length, out + kEthernetBytes);
  } else {
    WriteIpv6(spec, length, out + kEthernetBytes);
  }
  Put16(out + at, kStreamSourcePort);
  Put16(out + at + 2, kStreamPort);
  if (IsTcp(spec)) {
    WriteTcp(spec, sequence, out + at);
  } else {
    Put16(out + at + 4, length);
  }
  Put16(out + at + ChecksumOffset(spec), PseudoHeaderSum(spec, length));
}

bool IsStreamHeader(const StreamSpec& spec, uint64_t sequence,
                    const MacAddress& destination,
                    absl::Span<const uint8_t> header) {
  if (header.size() != HeaderBytes(spec)) return false;
  uint8_t expected[kMaxStreamHeaderBytes];
  WriteStreamHeader(spec, sequence, destination, expected);
  if (!IsTcp(spec)) {
    struct Range {
      uint32_t offset, bytes;
    };
    const Range source = {6, 6};
    const Range ip = IsIpv4(spec) ? Range{kEthernetBytes + 4, 4}
                                  : Range{kEthernetBytes + 1, 3};
    const Range ip_checksum = {kEthernetBytes + 10, IsIpv4(spec) ? 2u : 0u};
    for (const Range& range : {source, ip, ip_checksum}) {
      std::memcpy(expected + range.offset, &header[range.offset], range.bytes);
    }
  }
  return std::memcmp(expected, header.data(), header.size()) == 0 &&
         (!IsIpv4(spec) ||
          Sum(header.subspan(kEthernetBytes, 20), 0) == 0xffff);
}

bool IsOfStream(const StreamSpec& spec, absl::Span<const uint8_t> frame) {
  const uint32_t at = TransportOffset(spec);
  if (frame.size() < HeaderBytes(spec)) return false;
  const uint8_t protocol = frame[kEthernetBytes + (IsIpv4(spec) ? 9 : 6)];
  return Get16(&frame[12]) == (IsIpv4(spec) ? 0x0800 : 0x86dd) &&
         protocol == (IsTcp(spec) ? kTcp : kUdp) &&
         Get16(&frame[at + 2]) == kStreamPort;
}

}  // namespace annulus::guest_user
