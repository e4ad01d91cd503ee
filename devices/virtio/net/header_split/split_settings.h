#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_SETTINGS_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_SETTINGS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "devices/virtio/net/header_split/header_queue.h"

namespace annulus::virtio {

// Where header and payload of a split packet go: docs/header_split.md.
enum class SplitMethod : uint8_t {
  kChain,         // A: descriptors of one buffer.
  kBuffers,       // B: mergeable buffers, the header has the first.
  kSmallBuffers,  // C: mergeable buffers of two sizes.
  kHeaderQueue,   // Q: a queue of header buffers.
};

// What the driver set with the class SPLIT_TRANSPORT_HEADER, for all receive
// queues without a header queue.
struct SplitSettings {
  uint64_t types = 0;      // kSplitTcp4 and so on; 0: nothing is split.
  uint32_t threshold = 0;  // Frames up to this are not split.
  SplitMethod method = SplitMethod::kChain;  // A, B or C.
  uint16_t header_buffer_bytes = 0;  // C: no longer one is a header buffer.

  friend bool operator==(const SplitSettings&, const SplitSettings&) = default;
};

// What the driver made with the class HDR_BUF_QUEUE. A header queue may be
// attached to several receive queues; one to which a header queue is attached
// splits by method Q alone.
struct HeaderQueues {
  static constexpr size_t kMaxQueues = 16;

  // shared_ptr: a worker uses a queue until it has seen newer settings.
  std::array<std::shared_ptr<HeaderQueue>, kMaxQueues> by_id;
  std::array<std::shared_ptr<HeaderQueue>, kMaxQueues> by_pair;  // Attached.

  friend bool operator==(const HeaderQueues&, const HeaderQueues&) = default;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_SETTINGS_H_
