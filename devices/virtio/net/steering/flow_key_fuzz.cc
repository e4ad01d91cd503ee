// Anything as a frame.
//
// Input: the frame's first bytes, as the backend gives them.
//
// Checked: the key, the hash and the verdict of the filter depend on the part
// of the frame that they say they look at, and on nothing else.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

RssConfig MakeRss() {
  // hash_types, reserved, the key's length, the key.
  std::vector<uint8_t> data = {0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40};
  for (uint8_t i = 0; i < 40; ++i) data.push_back(7 * i + 1);
  return *RssConfig::ParseHash(data);
}

// A copy of exactly this size on the heap: the sanitizer sees a read beyond.
std::vector<uint8_t> Cut(absl::Span<const uint8_t> frame, size_t bytes) {
  frame = frame.subspan(0, bytes);
  return {frame.begin(), frame.end()};
}

void Run(absl::Span<const uint8_t> frame) {
  static const RssConfig rss = MakeRss();
  static const ReceiveFilter filter(FeatureSet::Of(kNetCtrlRx, kNetCtrlVlan),
                                    {2, 0, 0, 0, 0, 1});
  const FlowKey key = ParseFlowKey(frame);
  const FlowHash hash = rss.Hash(frame);
  if (key.network == FlowKey::Network::kNone) {
    ANNULUS_CHECK(key.transport == FlowKey::Transport::kNone);
    ANNULUS_CHECK(!key.has_extension_headers && hash == FlowHash());
  } else {
    // All types are enabled: 1 to 3 for IPv4, 4 to 6 for IPv6, 7 to 9 for its
    // extension headers.
    const int family = key.network == FlowKey::Network::kIpv4 ? 0
                       : key.has_extension_headers            ? 6
                                                              : 3;
    ANNULUS_CHECK(hash.report == 1 + family + static_cast<int>(key.transport));
  }
  ANNULUS_CHECK(rss.Hash(Cut(frame, kFlowPrefixBytes)) == hash);
  ANNULUS_CHECK(filter.Accepts(Cut(frame, ReceiveFilter::kPrefixBytes)) ==
                filter.Accepts(frame));
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run({data, size});
  return 0;
}
