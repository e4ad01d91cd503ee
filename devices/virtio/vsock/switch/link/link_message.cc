#include "devices/virtio/vsock/switch/link/link_message.h"

#include <algorithm>
#include <cstring>

#include "memory/little_endian.h"

namespace annulus::virtio {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {'a', 'n', 'n', 'u',
                                           'l', 'v', 's', 'k'};
constexpr uint32_t kVersion = 1;

struct Hello {
  std::array<uint8_t, 8> magic;
  memory::Le32 version;
  memory::Le32 zero;
  memory::Le64 cid;
};
static_assert(sizeof(Hello) == kLinkHelloBytes);

}  // namespace

LinkHello EncodeLinkHello(uint64_t cid) {
  const Hello hello = {
      .magic = kMagic, .version = kVersion, .zero = uint32_t{0}, .cid = cid};
  LinkHello bytes;
  std::memcpy(bytes.data(), &hello, sizeof(hello));
  return bytes;
}

std::optional<uint64_t> DecodeLinkHello(absl::Span<const uint8_t> message) {
  Hello hello;
  if (message.size() != sizeof(hello)) return std::nullopt;
  std::memcpy(&hello, message.data(), sizeof(hello));
  if (hello.magic != kMagic || hello.version != kVersion || hello.zero != 0 ||
      hello.cid < kVsockFirstGuestCid || hello.cid > kVsockLastGuestCid) {
    return std::nullopt;
  }
  return hello.cid;
}

LinkPacketStart EncodeLinkPacket(const PacketHeader& header, uint64_t serial) {
  LinkPacketStart start;
  const memory::Le64 wire = serial;
  std::memcpy(start.data(), &wire, sizeof(wire));
  EncodePacketHeader(header, absl::MakeSpan(start).subspan(kLinkHeader));
  return start;
}

uint64_t DecodeLinkSerial(const LinkPacketStart& start) {
  memory::Le64 wire;
  std::memcpy(&wire, start.data(), sizeof(wire));
  return wire;
}

PacketHeader DecodeLinkHeader(const LinkPacketStart& start) {
  return DecodePacketHeader(absl::MakeConstSpan(start).subspan(kLinkHeader));
}

bool IsLinkPacket(const PacketHeader& header, size_t payload_bytes,
                  uint64_t from, uint64_t to) {
  if (header.src_cid != from || header.dst_cid != to ||
      header.len != payload_bytes || payload_bytes > kLinkMaxPayload) {
    return false;
  }
  if (header.type == kVsockTypeDgram) return header.op == kVsockOpRw;
  if (header.type != kVsockTypeStream && header.type != kVsockTypeSeqpacket) {
    return false;
  }
  if (header.op == kVsockOpInvalid || header.op > kVsockOpCreditRequest) {
    return false;
  }
  return payload_bytes == 0 || header.op == kVsockOpRw;
}

}  // namespace annulus::virtio
