// The peer's bytes, cut into pieces as the peer likes: the first byte seeds the
// cutting. What is found does not depend on it, and is what a reader of the
// whole finds.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/passt_stream.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

using Found = PasstStream::Found;
using Frames = std::vector<std::vector<uint8_t>>;

Found ReadWhole(absl::Span<const uint8_t> bytes, Frames& frames) {
  while (bytes.size() >= 4) {
    const uint64_t length = uint64_t{bytes[0]} << 24 |
                            uint64_t{bytes[1]} << 16 | uint64_t{bytes[2]} << 8 |
                            bytes[3];
    if (length == 0 || length > kNetMaxFrameBytes) return Found::kBroken;
    if (bytes.size() < 4 + length) break;
    frames.emplace_back(bytes.begin() + 4,
                        bytes.begin() + 4 + static_cast<ptrdiff_t>(length));
    bytes.remove_prefix(4 + length);
  }
  return Found::kIncomplete;
}

Found ReadInPieces(absl::Span<const uint8_t> bytes, uint8_t seed,
                   Frames& frames) {
  PasstStream stream;
  std::minstd_rand random(seed + 1u);
  for (;;) {
    absl::Span<const uint8_t> frame;
    Found found;
    while ((found = stream.Next(frame)) == Found::kFrame) {
      frames.emplace_back(frame.begin(), frame.end());
    }
    if (found == Found::kBroken || bytes.empty()) return found;
    const absl::Span<uint8_t> room = stream.Room();
    if (room.empty()) std::abort();
    const size_t piece =
        std::min({room.size(), bytes.size(), size_t{random() % 97 + 1}});
    std::memcpy(room.data(), bytes.data(), piece);
    stream.Fill(piece);
    bytes.remove_prefix(piece);
  }
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::virtio;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const absl::Span<const uint8_t> bytes(data + 1, size - 1);
  Frames expected;
  Frames found;
  const auto end = ReadWhole(bytes, expected);
  if (ReadInPieces(bytes, data[0], found) != end || found != expected) {
    std::abort();
  }
  return 0;
}
