#ifndef DEVICES_VIRTIO_QUEUE_CHAIN_BYTES_H_
#define DEVICES_VIRTIO_QUEUE_CHAIN_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "memory/guest_span.h"

// For tests: the bytes of a chain as a string, whatever its elements are.

namespace annulus::virtio {

// What the readable elements hold, one after the other.
inline std::string ReadAll(const DescriptorChain& chain) {
  std::string contents;
  for (const ChainElement& element : chain.readable()) {
    std::vector<uint8_t> bytes(element.span.size());
    element.span.CopyOut(0, absl::MakeSpan(bytes));
    contents.append(bytes.begin(), bytes.end());
  }
  return contents;
}

// Writes `contents` over the writable elements; returns how much had room.
inline uint32_t WriteAll(const DescriptorChain& chain,
                         const std::string& contents) {
  const std::vector<uint8_t> bytes(contents.begin(), contents.end());
  absl::Span<const uint8_t> left = bytes;
  for (const ChainElement& element : chain.writable()) {
    const size_t here = std::min(element.span.size(), left.size());
    element.span.CopyIn(0, left.first(here));
    left.remove_prefix(here);
  }
  return static_cast<uint32_t>(bytes.size() - left.size());
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_CHAIN_BYTES_H_
