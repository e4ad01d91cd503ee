#ifndef DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_
#define DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// The buffers that a receiveq has taken and not used yet, as the vectors that a
// backend reads into: a frame lands in guest memory by itself, wherever it
// ends, and the buffers behind it wait for the next.
//
//     | header | rest of buffer 0 | buffer 1 | ... | overflow |
//
// The header is the caller's, for the backend's 12 bytes; the place of the
// driver's in buffer 0 is left out (virtio 1.4 §5.1.6.4 "Processing of Incoming
// Packets"). With MRG_RXBUF a frame may go over all buffers, else it has the
// first alone. What has no room goes into the overflow, so that no frame is
// ever cut off.
//
// Each buffer's vectors are written once, not once per frame.
//
// Threads: thread-compatible.
// Trust: sizes and number of buffers are guest-controlled, none is assumed.
// Allocation: none after construction.
class ReceiveWindow {
 public:
  // readv(2) takes no more than 1024, two of which are not the guest's.
  static constexpr size_t kMaxVectors = 1022;

  // `header` of kNetHeaderBytes and `overflow` of kNetMaxFrameBytes outlive the
  // window.
  ReceiveWindow(uint16_t max_queue_size, absl::Span<uint8_t> header,
                absl::Span<uint8_t> overflow);

  // Forgets all buffers. The driver's header has `header_bytes`.
  void Restart(uint32_t header_bytes, bool mergeable);

  // Hot. Takes what is available in `queue`; returns how many buffers.
  template <typename Queue>
  uint32_t Fill(Queue& queue) {
    const size_t before = batch_.chains().size();
    const uint32_t more = queue.TakeMore(batch_);
    for (size_t i = before; i < before + more; ++i) Append(batch_.chains()[i]);
    return more;
  }

  bool empty() { return batch_.chains().empty(); }
  DescriptorChain& front() { return batch_.chains()[0]; }
  DescriptorChain& at(size_t index) { return batch_.chains()[index]; }
  bool mergeable() const { return mergeable_; }

  // True where more buffers would be of use for the next frame, whatever its
  // size.
  bool wants_more() { return mergeable_ ? room_ < kNetMaxFrameBytes : empty(); }

  // Bytes of frame that have room in all buffers together, and in those that
  // Vectors() offered. Valid once that was called for the first buffer.
  uint64_t room() const { return mergeable_ ? room_ : offered_; }
  uint64_t offered() const { return offered_; }

  // Hot. Where to read the next frame: header, buffers, overflow. As many
  // buffers as the largest frame needs. Valid until the next call of anything
  // else. REQUIRES: !empty(), and the first has room for the driver's header.
  absl::Span<const iovec> Vectors();

  // Cold. Copies into the buffers behind those that were offered what the
  // overflow holds of a frame of `frame_bytes`.
  // REQUIRES: offered() < frame_bytes <= room().
  void PlaceOverflow(uint32_t frame_bytes);

  // Hot. How many buffers a frame of `frame_bytes` takes; its bytes in the last
  // of them, with the driver's header if that is the first.
  // REQUIRES: frame_bytes <= room().
  struct Extent {
    uint32_t buffers;
    uint32_t last_bytes;
  };
  Extent Measure(uint32_t frame_bytes);

  // Hot. The first `count` buffers were pushed.
  void Release(uint32_t count);

 private:
  void Append(const DescriptorChain& chain);
  void PrepareFront();
  void ExtendOffer();
  void Uncover();

  const absl::Span<uint8_t> header_;
  const absl::Span<uint8_t> overflow_;
  uint32_t header_bytes_ = 0;
  bool mergeable_ = false;

  ChainBatch batch_;
  // Those of the buffers, oldest first, are [begin_, end_); at least one slot
  // is free before and one behind.
  std::vector<iovec> vectors_;
  size_t begin_ = 1;
  size_t end_ = 1;
  // How many of them belong to the first buffer; its header is left out.
  size_t front_vectors_ = 0;
  bool front_ready_ = false;
  uint64_t room_ = 0;
  // [begin_, offer_end_) are offered, for so many bytes.
  size_t offer_end_ = 1;
  uint64_t offered_ = 0;
  // What Vectors() put the overflow in the place of.
  iovec covered_ = {};
  bool covers_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_RECEIVE_WINDOW_H_
