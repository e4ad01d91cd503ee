#include "devices/virtio/vsock/queues/transmitted_packet.h"

#include <array>

#include "absl/base/optimization.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

// "The upper 32 bits of the CID are reserved and zeroed." (virtio 1.4 §5.10.4)
bool IsCid(uint64_t cid) { return cid >> 32 == 0; }

}  // namespace

std::optional<TransmittedPacket> ReadTransmittedPacket(
    const DescriptorChain& chain, size_t header_bytes, uint64_t guest_cid,
    VsockCounters& counters) {
  const size_t bytes = chain.readable_bytes();
  if (ABSL_PREDICT_FALSE(bytes < header_bytes)) {
    counters.malformed.Add(1);
    return std::nullopt;
  }
  // num_buffers, which may follow, has no meaning in this direction.
  std::array<uint8_t, kVsockHeaderBytes> copy;
  PacketPayload(chain.readable(), 0, copy.size()).CopyOut(absl::MakeSpan(copy));
  const PacketHeader header = DecodePacketHeader(copy);
  if (ABSL_PREDICT_FALSE(header.len > bytes - header_bytes ||
                         !IsCid(header.dst_cid))) {
    counters.malformed.Add(1);
    return std::nullopt;
  }
  if (ABSL_PREDICT_FALSE(header.src_cid != guest_cid)) {
    counters.spoofed.Add(1);
    return std::nullopt;
  }
  return TransmittedPacket{
      .header = header,
      .payload = PacketPayload(chain.readable(), header_bytes, header.len)};
}

}  // namespace annulus::virtio
