#ifndef DEVICES_VIRTIO_NET_RECEIVE_RECEIVED_FRAME_H_
#define DEVICES_VIRTIO_NET_RECEIVE_RECEIVED_FRAME_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/optimization.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// The frame that a receiveq has in hand: which of its bytes lie where, from the
// read that brought it until it is where the driver is to find it.
//
//   frame.ReadWhole(window)  or ReadAside(..), ReadPrivately(..)
//   ... the backend fills the vectors ...
//   frame.Received(bytes, window)
//   ... FinishWhole(window) or FinishSplit(window, ..) ...
//   frame.Forget()
//
// Bytes that the device decides by are looked at in its own memory, and are
// those that are delivered, whatever the guest does to its buffers meanwhile.
//
// Threads: thread-compatible.
// Trust: the frame's content, and the buffers that part of it lies in.
// Allocation: none after construction.
class ReceivedFrame {
 public:
  ReceivedFrame();

  // For the window: takes what has no room in its buffers. One byte more than
  // the largest frame, so that none that is larger is taken for it.
  static constexpr size_t kOverflowBytes = kNetMaxFrameBytes + 1;
  absl::Span<uint8_t> overflow() {
    return absl::MakeSpan(overflow_.get(), kOverflowBytes);
  }

  // Hot. Vectors to read the next frame into: so that nothing remains to be
  // done if it is not split; so that nothing but the header remains to be
  // copied if it is split by `method` behind `aside` bytes; or into memory of
  // the device, for both.
  // REQUIRES: as ReceiveWindow says; aside <= kMaxSplitHeaderBytes.
  absl::Span<const iovec> ReadWhole(ReceiveWindow& window) {
    where_ = Where::kWhole;
    aside_bytes_ = 0;
    return window.Whole();
  }
  absl::Span<const iovec> ReadAside(ReceiveWindow& window, SplitMethod method,
                                    uint32_t aside);
  absl::Span<const iovec> ReadPrivately(ReceiveWindow& window);

  // Hot. So much has come into the vectors of the last read.
  // REQUIRES: 0 < bytes <= kNetMaxFrameBytes.
  void Received(uint32_t bytes, const ReceiveWindow& window) {
    ANNULUS_DCHECK(bytes != 0 && bytes <= kNetMaxFrameBytes);
    bytes_ = bytes;
    prefix_bytes_ = std::min(bytes, aside_bytes_);
    placed_ =
        static_cast<uint32_t>(std::min<uint64_t>(bytes, window.offered()));
    if (where_ == Where::kAside && bytes <= aside_bytes_) {
      where_ = Where::kPrivate;
      private_ = aside_.get();
    }
  }

  void Forget() { bytes_ = 0; }
  uint32_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Hot. The first `count` bytes, or all if there are fewer, in memory of the
  // device. `vectors` are those of the last read without the header, while they
  // are valid. Valid until the next call. REQUIRES: count <=
  // kMaxSplitHeaderBytes.
  absl::Span<const uint8_t> Prefix(absl::Span<const iovec> vectors,
                                   size_t count);

  // As much of it as was asked for or read aside already, perhaps nothing.
  absl::Span<const uint8_t> KnownPrefix() const {
    if (where_ == Where::kPrivate) {
      return {private_, std::min<size_t>(bytes_, kMaxSplitHeaderBytes)};
    }
    return {aside_.get(), prefix_bytes_};
  }

  // True if all of it is in memory of the device: from then on the window's
  // settings may change.
  bool is_private() const { return where_ == Where::kPrivate; }
  void MakePrivate(ReceiveWindow& window);

  // Hot. Puts it into the buffers behind the driver's header, as it is. True if
  // it was there already, or only bytes that were read aside were not.
  // REQUIRES: there is room.
  bool FinishWhole(ReceiveWindow& window) {
    if (ABSL_PREDICT_TRUE(where_ == Where::kWhole && placed_ == bytes_)) {
      return true;
    }
    return FinishWholeSlow(window);
  }

  // Hot. The same for what comes after the first `header_bytes`, from `payload`
  // on; the header itself is in KnownPrefix().
  bool FinishSplit(ReceiveWindow& window, const ReceiveWindow::Place& payload,
                   uint32_t header_bytes) {
    if (ABSL_PREDICT_TRUE(where_ == Where::kAside && bytes_ == placed_ &&
                          header_bytes == aside_bytes_ && rest_ == payload)) {
      return true;
    }
    FinishSplitSlow(window, payload, header_bytes);
    return false;
  }

 private:
  enum class Where : uint8_t {
    kWhole,    // As it is, in the buffers; the end of it perhaps in overflow_.
    kAside,    // The same, but its first bytes in aside_, the others from
               // rest_ on.
    kPrivate,  // In private_.
  };

  bool FinishWholeSlow(ReceiveWindow& window);
  void FinishSplitSlow(ReceiveWindow& window,
                       const ReceiveWindow::Place& payload,
                       uint32_t header_bytes);

  const std::unique_ptr<uint8_t[]> overflow_;  // kOverflowBytes
  const std::unique_ptr<uint8_t[]> aside_;     // kMaxSplitHeaderBytes

  uint32_t bytes_ = 0;  // 0: there is no frame.
  Where where_ = Where::kWhole;
  uint32_t aside_bytes_ = 0;
  ReceiveWindow::Place rest_;
  uint32_t placed_ = 0;  // So many bytes are not in the overflow.
  // The first so many bytes are in aside_, perhaps elsewhere, too.
  uint32_t prefix_bytes_ = 0;
  const uint8_t* private_ = nullptr;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_RECEIVED_FRAME_H_
