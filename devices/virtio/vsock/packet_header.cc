#include "devices/virtio/vsock/packet_header.h"

#include <cstring>

#include "base/check.h"
#include "memory/little_endian.h"

namespace annulus::virtio {
namespace {

template <typename T>
T Load(absl::Span<const uint8_t> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return memory::LittleEndian(value);
}

template <typename T>
void Store(absl::Span<uint8_t> bytes, size_t offset, T value) {
  const T wire = memory::LittleEndian(value);
  std::memcpy(bytes.data() + offset, &wire, sizeof(wire));
}

}  // namespace

PacketHeader DecodePacketHeader(absl::Span<const uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kVsockHeaderBytes);
  return {.src_cid = Load<uint64_t>(bytes, kVsockHeaderSrcCid),
          .dst_cid = Load<uint64_t>(bytes, kVsockHeaderDstCid),
          .src_port = Load<uint32_t>(bytes, kVsockHeaderSrcPort),
          .dst_port = Load<uint32_t>(bytes, kVsockHeaderDstPort),
          .len = Load<uint32_t>(bytes, kVsockHeaderLen),
          .type = Load<uint16_t>(bytes, kVsockHeaderType),
          .op = Load<uint16_t>(bytes, kVsockHeaderOp),
          .flags = Load<uint32_t>(bytes, kVsockHeaderFlags),
          .buf_alloc = Load<uint32_t>(bytes, kVsockHeaderBufAlloc),
          .fwd_cnt = Load<uint32_t>(bytes, kVsockHeaderFwdCnt)};
}

void EncodePacketHeader(const PacketHeader& header, absl::Span<uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kVsockHeaderBytes);
  Store(bytes, kVsockHeaderSrcCid, header.src_cid);
  Store(bytes, kVsockHeaderDstCid, header.dst_cid);
  Store(bytes, kVsockHeaderSrcPort, header.src_port);
  Store(bytes, kVsockHeaderDstPort, header.dst_port);
  Store(bytes, kVsockHeaderLen, header.len);
  Store(bytes, kVsockHeaderType, header.type);
  Store(bytes, kVsockHeaderOp, header.op);
  Store(bytes, kVsockHeaderFlags, header.flags);
  Store(bytes, kVsockHeaderBufAlloc, header.buf_alloc);
  Store(bytes, kVsockHeaderFwdCnt, header.fwd_cnt);
}

PacketHeader ResetFor(const PacketHeader& packet) {
  ANNULUS_DCHECK(packet.op != kVsockOpRst);
  return {.src_cid = packet.dst_cid,
          .dst_cid = packet.src_cid,
          .src_port = packet.dst_port,
          .dst_port = packet.src_port,
          .type = packet.type,
          .op = kVsockOpRst};
}

}  // namespace annulus::virtio
