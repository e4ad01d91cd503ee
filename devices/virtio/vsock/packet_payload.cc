#include "devices/virtio/vsock/packet_payload.h"

#include <algorithm>

namespace annulus::virtio {
namespace {

// Calls function(element, offset, bytes) for each piece of the bytes
// [begin, begin + size), until it returns false.
template <typename Function>
void ForEachPiece(absl::Span<const ChainElement> elements, size_t begin,
                  size_t size, Function function) {
  for (const ChainElement& element : elements) {
    if (size == 0) return;
    if (begin >= element.span.size()) {
      begin -= element.span.size();
      continue;
    }
    const size_t bytes = std::min(element.span.size() - begin, size);
    if (!function(element, begin, bytes)) return;
    begin = 0;
    size -= bytes;
  }
}

}  // namespace

size_t PacketPayload::Vectors(absl::Span<iovec> vectors) const {
  size_t count = 0;
  ForEachPiece(elements_, begin_, size_,
               [&](const ChainElement& element, size_t offset, size_t bytes) {
                 if (count == vectors.size()) return false;
                 vectors[count++] =
                     element.span.Subspan(offset, bytes).AsIovec();
                 return true;
               });
  return count;
}

void PacketPayload::CopyOut(absl::Span<uint8_t> out) const {
  size_t have = 0;
  ForEachPiece(elements_, begin_, out.size(),
               [&](const ChainElement& element, size_t offset, size_t bytes) {
                 element.span.CopyOut(offset, out.subspan(have, bytes));
                 have += bytes;
                 return true;
               });
}

}  // namespace annulus::virtio
