#include "devices/virtio/net/switch/frame_segments.h"

#include <algorithm>
#include <cstring>

#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

constexpr size_t kTcpHeaderBytes = 20;  // Without options.
constexpr size_t kTcpSequence = 4;      // Offsets.
constexpr size_t kTcpDataOffset = 12;
constexpr size_t kTcpFlags = 13;
constexpr size_t kTcpChecksum = 16;
constexpr uint8_t kTcpFinPsh = 0x09;
constexpr uint8_t kTcpCwr = 0x80;
constexpr size_t kUdpHeaderBytes = 8;
constexpr size_t kUdpLength = 4;
constexpr size_t kUdpChecksum = 6;
constexpr size_t kIpv4Length = 2;
constexpr size_t kIpv4Id = 4;
constexpr size_t kIpv4Protocol = 9;
constexpr size_t kIpv4Checksum = 10;
constexpr size_t kIpv6Length = 4;

uint32_t Load16(const uint8_t* at) { return uint32_t{at[0]} << 8 | at[1]; }
void Store16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

// RFC 1071, in the order of the bytes in memory: a sum of 32-bit words, which
// folds to the same.
uint64_t Sum(const uint8_t* data, size_t size) {
  uint64_t sum = 0;
  while (size >= sizeof(uint32_t)) {
    uint32_t word;
    std::memcpy(&word, data, sizeof(word));
    sum += word;
    data += sizeof(word);
    size -= sizeof(word);
  }
  uint32_t rest = 0;
  std::memcpy(&rest, data, size);
  return sum + rest;
}

// Not its complement; as the bytes are in memory.
uint16_t Fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The checksum of `size` bytes, in which the field already has what else is to
// be summed up. None is 0, which UDP has for "no checksum".
void StoreChecksum(uint8_t* data, size_t size, uint8_t* field) {
  uint16_t checksum = static_cast<uint16_t>(~Fold(Sum(data, size)));
  if (checksum == 0) checksum = 0xffff;
  std::memcpy(field, &checksum, sizeof(checksum));
}

}  // namespace

void CompleteChecksum(const NetHeader& header, absl::Span<uint8_t> frame) {
  uint8_t* const start = frame.data() + header.csum_start;
  StoreChecksum(start, frame.size() - header.csum_start,
                start + header.csum_offset);
}

std::optional<FrameSegments> FrameSegments::Of(
    const NetHeader& header, absl::Span<const uint8_t> frame) {
  FrameSegments segments(header, frame);
  if (!segments.Parse()) return std::nullopt;
  return segments;
}

bool FrameSegments::Parse() {
  const size_t transport = header_.csum_start;
  tcp_ = header_.gso_type != kNetGsoUdpL4;
  const size_t least = tcp_ ? kTcpHeaderBytes : kUdpHeaderBytes;
  if (!ParseNetwork() || transport + least > frame_.size() ||
      header_.csum_offset != (tcp_ ? kTcpChecksum : kUdpChecksum)) {
    return false;
  }
  header_bytes_ = transport + least;
  if (tcp_) {
    const size_t words = frame_[transport + kTcpDataOffset] >> 4;
    if (words * 4 < kTcpHeaderBytes) return false;
    header_bytes_ = transport + words * 4;
  }
  if (header_bytes_ >= frame_.size() || header_.gso_size == 0) return false;
  const size_t payload = frame_.size() - header_bytes_;
  count_ = (payload + header_.gso_size - 1) / header_.gso_size;
  return count_ <= kMaxSegments;
}

// Sets where the IP header is, and which.
bool FrameSegments::ParseNetwork() {
  if (frame_.size() < kEthernetHeaderBytes) return false;
  size_t type_at = kEtherTypeOffset;
  uint32_t type = Load16(&frame_[type_at]);
  for (int tags = 0; tags < kMaxVlanTags &&
                     (type == kEtherTypeVlan || type == kEtherTypeServiceVlan);
       ++tags) {
    type_at += kVlanTagBytes;
    if (type_at + 2 > frame_.size()) return false;
    type = Load16(&frame_[type_at]);
  }
  network_ = type_at + 2;
  ipv4_ = type == kEtherTypeIpv4;
  const uint8_t gso_type = header_.gso_type & ~kNetGsoEcn;
  if (gso_type == (ipv4_ ? kNetGsoTcpv6 : kNetGsoTcpv4)) return false;
  const size_t transport = header_.csum_start;
  if (!ipv4_) {
    return type == kEtherTypeIpv6 && transport >= network_ + kIpv6HeaderBytes;
  }
  if (network_ + kIpv4HeaderBytes > frame_.size()) return false;
  const size_t ip_bytes = size_t{4} * (frame_[network_] & 0xf);
  return ip_bytes >= kIpv4HeaderBytes && network_ + ip_bytes == transport &&
         frame_[network_ + kIpv4Protocol] == (tcp_ ? kIpTcp : kIpUdp);
}

size_t FrameSegments::PayloadOf(size_t i) const {
  const size_t before = i * header_.gso_size;
  return std::min<size_t>(header_.gso_size,
                          frame_.size() - header_bytes_ - before);
}

void FrameSegments::Write(size_t i, uint8_t* to) const {
  const size_t payload = PayloadOf(i);
  std::memcpy(to, frame_.data(), header_bytes_);
  std::memcpy(to + header_bytes_,
              frame_.data() + header_bytes_ + i * header_.gso_size, payload);
  WriteNetwork(i, payload, to + network_);
  WriteTransport(i, payload, to + header_.csum_start);
}

void FrameSegments::WriteNetwork(size_t i, size_t payload, uint8_t* to) const {
  const size_t bytes = header_bytes_ - network_ + payload;
  if (!ipv4_) {
    Store16(to + kIpv6Length, static_cast<uint32_t>(bytes - kIpv6HeaderBytes));
    return;
  }
  Store16(to + kIpv4Length, static_cast<uint32_t>(bytes));
  Store16(to + kIpv4Id, Load16(to + kIpv4Id) + static_cast<uint32_t>(i));
  Store16(to + kIpv4Checksum, 0);
  StoreChecksum(to, header_.csum_start - network_, to + kIpv4Checksum);
}

void FrameSegments::WriteTransport(size_t i, size_t payload,
                                   uint8_t* to) const {
  const size_t bytes = header_bytes_ - header_.csum_start + payload;
  if (tcp_) {
    uint8_t* const at = to + kTcpSequence;
    const uint32_t sequence = (Load16(at) << 16 | Load16(at + 2)) +
                              static_cast<uint32_t>(i * header_.gso_size);
    Store16(at, sequence >> 16);
    Store16(at + 2, sequence);
    // The end is pushed, and the reduced window told of, once.
    if (i + 1 < count_) to[kTcpFlags] &= static_cast<uint8_t>(~kTcpFinPsh);
    if (i != 0) to[kTcpFlags] &= static_cast<uint8_t>(~kTcpCwr);
  } else {
    Store16(to + kUdpLength, static_cast<uint32_t>(bytes));
  }
  // The field has the sum of the pseudo header with the length of it all: that
  // length less, and this one more.
  uint8_t* const field = to + header_.csum_offset;
  const uint64_t whole = frame_.size() - header_.csum_start;
  const uint64_t partial =
      Load16(field) + (~whole & 0xffff) + (~(whole >> 16) & 0xffff) + bytes;
  Store16(field, Fold(partial));
  StoreChecksum(to, bytes, field);
}

}  // namespace annulus::virtio
