// SwitchPortQueue: frames to a driver without the offloads that they have.

#include <cstring>
#include <optional>

#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/switch/frame_segments.h"
#include "devices/virtio/net/switch/switch_port_queue.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

bool SwitchPortQueue::DeliverCompleted(const FrameSwitch::Route& route,
                                       size_t slot,
                                       absl::Span<const iovec> frame,
                                       uint32_t bytes) {
  // What guest memory has from here on is of no interest.
  GatherFrame(frame, copy_.get(), bytes);
  uint8_t* const header_bytes = copy_.get();
  NetHeader header =
      DecodeNetHeader(absl::MakeConstSpan(header_bytes, kNetHeaderBytes));
  const absl::Span<uint8_t> packet =
      absl::MakeSpan(copy_.get() + kNetHeaderBytes, bytes - kNetHeaderBytes);
  // It was checked already, by the rules of this card; but nothing below is to
  // depend on that.
  const HeaderRules any = {.csum = true,
                           .tso4 = true,
                           .tso6 = true,
                           .ecn = true,
                           .uso4 = true,
                           .uso6 = true};
  if (!CheckNetHeader(any, static_cast<uint32_t>(packet.size()), header)) {
    counters_.unusable.Add(1);
    return false;
  }
  counters_.completed.Add(1);
  if (header.gso_type != kNetGsoNone) {
    return DeliverSegments(slot, header, packet);
  }
  if ((header.flags & kNetHeaderNeedsCsum) != 0 && !route.csum) {
    CompleteChecksum(header, packet);
    header.flags &= static_cast<uint8_t>(~kNetHeaderNeedsCsum);
  }
  uint8_t* const room = Reserve(slot, bytes);
  if (room == nullptr) return false;
  std::memset(room, 0, kNetHeaderBytes);
  std::memcpy(room + kNetHeaderBytes, packet.data(), packet.size());
  Keep(slot);
  return true;
}

bool SwitchPortQueue::DeliverSegments(size_t slot, const NetHeader& header,
                                      absl::Span<const uint8_t> frame) {
  const std::optional<FrameSegments> segments =
      FrameSegments::Of(header, frame);
  if (!segments.has_value()) {
    counters_.unusable.Add(1);
    return false;
  }
  for (size_t i = 0; i < segments->count(); ++i) {
    uint8_t* const room = Reserve(slot, kNetHeaderBytes + segments->bytes(i));
    // One that is lost is sent again; the others may be of use.
    if (room == nullptr) return i != 0;
    std::memset(room, 0, kNetHeaderBytes);
    segments->Write(i, room + kNetHeaderBytes);
    Keep(slot);
  }
  return true;
}

}  // namespace annulus::virtio
