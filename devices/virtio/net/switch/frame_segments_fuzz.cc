// A frame of segmentation offload as a guest might make it: the first 12 bytes
// are its virtio_net_hdr, then it begins. Whatever it is, its segments lie in
// bounds, are as long as they say, and have all of the payload between them.

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/switch/frame_segments.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

constexpr HeaderRules kAny = {.csum = true,
                              .tso4 = true,
                              .tso6 = true,
                              .ecn = true,
                              .uso4 = true,
                              .uso6 = true};

void CutUp(const NetHeader& header, absl::Span<const uint8_t> frame) {
  const auto segments = FrameSegments::Of(header, frame);
  if (!segments.has_value()) return;
  ANNULUS_CHECK(segments->count() >= 1 &&
                segments->count() <= FrameSegments::kMaxSegments);
  size_t total = 0;
  for (size_t i = 0; i < segments->count(); ++i) {
    // Of its own: the sanitizer sees a byte too many.
    std::vector<uint8_t> segment(segments->bytes(i));
    ANNULUS_CHECK(segment.size() <= frame.size());
    segments->Write(i, segment.data());
    ANNULUS_CHECK(std::memcmp(segment.data(), frame.data(), 12) == 0);
    total += segment.size();
  }
  const size_t headers = (total - frame.size()) /
                         (segments->count() == 1 ? 1 : segments->count() - 1);
  ANNULUS_CHECK(total == frame.size() + headers * (segments->count() - 1));
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::virtio;
  const absl::Span<const uint8_t> bytes(data, size);
  if (size < kNetHeaderBytes || size > kNetHeaderBytes + kNetMaxFrameBytes) {
    return 0;
  }
  NetHeader header = DecodeNetHeader(bytes);
  std::vector<uint8_t> frame(bytes.begin() + kNetHeaderBytes, bytes.end());
  if (!CheckNetHeader(kAny, static_cast<uint32_t>(frame.size()), header)) {
    return 0;
  }
  if (header.gso_type != kNetGsoNone) {
    CutUp(header, frame);
  } else if ((header.flags & kNetHeaderNeedsCsum) != 0) {
    CompleteChecksum(header, absl::MakeSpan(frame));
  }
  return 0;
}
