// Anything as a frame, with anything in its virtio-net header.
//
// Input: flags, gso_type, le16 csum_start, le16 number of zeros that the frame
// ends with; then the rest of the frame.
//
// Checked: where a frame is split does not depend on how much of it there is to
// look at, lies behind the shortest header and before the end, and is inside
// what was looked at; all of a frame, or the longest header, is always enough.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {
namespace {

constexpr size_t kInputHeaderBytes = 6;
constexpr uint32_t kShortestHeaderBytes = 14 + 20 + 8;  // UDP over IPv4.

void CheckPrefix(const std::vector<uint8_t>& frame, size_t bytes,
                 const NetHeader& header, const SplitPoint& whole) {
  // A copy of exactly this size on the heap: the sanitizer sees a read beyond.
  const std::vector<uint8_t> prefix(
      frame.begin(), frame.begin() + static_cast<int64_t>(bytes));
  const SplitPoint untouched = {.type = 77, .header_bytes = 77, .flow = 77};
  SplitPoint point = untouched;
  if (FindSplitPoint(prefix, static_cast<uint32_t>(frame.size()), header,
                     point)) {
    ANNULUS_CHECK(point == whole);
    ANNULUS_CHECK(point.header_bytes <= bytes);
    return;
  }
  ANNULUS_CHECK(point == untouched);
  ANNULUS_CHECK(bytes < std::min(frame.size(), kMaxSplitHeaderBytes));
  ANNULUS_CHECK(whole.type == 0 || bytes < whole.header_bytes);
}

void Run(absl::Span<const uint8_t> data) {
  if (data.size() < kInputHeaderBytes) return;
  const NetHeader header = {
      .flags = data[0],
      .gso_type = data[1],
      .csum_start = static_cast<uint16_t>(data[2] | data[3] << 8)};
  const size_t zeros = data[4] | size_t{data[5]} << 8;
  data.remove_prefix(kInputHeaderBytes);
  std::vector<uint8_t> frame(data.begin(), data.end());
  frame.resize(frame.size() + zeros);
  const uint32_t frame_bytes = static_cast<uint32_t>(frame.size());

  SplitPoint whole;
  ANNULUS_CHECK(FindSplitPoint(frame, frame_bytes, header, whole));
  if (whole.type == 0) {
    ANNULUS_CHECK(whole.header_bytes == 0);
  } else {
    ANNULUS_CHECK((whole.type & (whole.type - 1)) == 0);
    ANNULUS_CHECK((whole.type & ~kSplitAllTypes) == 0);
    ANNULUS_CHECK(whole.header_bytes >= kShortestHeaderBytes);
    ANNULUS_CHECK(whole.header_bytes < frame_bytes);
    ANNULUS_CHECK(whole.header_bytes <= kMaxSplitHeaderBytes);
  }
  for (size_t bytes = 0; bytes <= std::min<size_t>(frame_bytes, 160); ++bytes) {
    CheckPrefix(frame, bytes, header, whole);
  }
  // Beyond these the long ones matter near their ends.
  for (const size_t bytes :
       {size_t{whole.header_bytes} - 1, size_t{whole.header_bytes},
        size_t{whole.header_bytes} + 1, kMaxSplitHeaderBytes,
        kMaxSplitHeaderBytes - 1, data.size(), data.size() / 2}) {
    if (bytes <= frame_bytes) CheckPrefix(frame, bytes, header, whole);
  }
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run({data, size});
  return 0;
}
