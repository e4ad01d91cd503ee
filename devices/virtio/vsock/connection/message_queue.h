#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_MESSAGE_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_MESSAGE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace annulus::virtio {

// The boundaries of messages in the bytes that wait for a host's program
// (virtio 1.4 §5.10.6.5 "Seqpacket Sockets"): the sizes of the whole ones, and
// how much there is of one whose end has not come yet.
//
// Threads: thread-compatible.
// Allocation: for messages that wait, four bytes each.
class MessageQueue {
 public:
  // Others are limited by credit, which empty messages take none of.
  static constexpr size_t kMostEmpty = 4096;

  // No whole message waits.
  bool empty() const { return first_ == sizes_.size(); }
  // No more messages that are empty may wait.
  bool full() const { return empty_ == kMostEmpty; }
  // Neither does a part of one.
  bool idle() const { return empty() && partial_ == 0; }

  // More bytes of the message that is not whole yet; `end`: now it is.
  void Append(uint32_t bytes, bool end) {
    partial_ += bytes;
    if (!end) return;
    if (partial_ == 0) ++empty_;
    sizes_.push_back(partial_);
    partial_ = 0;
  }

  // REQUIRES: !empty().
  uint32_t front() const { return sizes_[first_]; }
  void Pop() {
    if (sizes_[first_] == 0) --empty_;
    if (++first_ == sizes_.size()) {
      std::vector<uint32_t>().swap(sizes_);
      first_ = 0;
    } else if (first_ == kForget) {
      sizes_.erase(sizes_.begin(), sizes_.begin() + kForget);
      first_ = 0;
    }
  }

  void Clear() { *this = MessageQueue(); }

 private:
  static constexpr size_t kForget = 4096;

  std::vector<uint32_t> sizes_;  // Those before first_ are gone.
  size_t first_ = 0;
  size_t empty_ = 0;  // Of those that are not.
  uint32_t partial_ = 0;
};

// A message from a host's program for which there were too few buffers at once:
// the part that the guest has not been sent yet.
//
// Threads: thread-compatible.
// Allocation: per message that is kept.
class Stash {
 public:
  bool empty() const { return sent_ == size_; }

  // Room for a message of this size. REQUIRES: empty(); size != 0.
  absl::Span<uint8_t> Room(size_t size) {
    bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
    size_ = size;
    sent_ = 0;
    return absl::MakeSpan(bytes_.get(), size_);
  }

  absl::Span<const uint8_t> left() const {
    return absl::MakeConstSpan(bytes_.get() + sent_, size_ - sent_);
  }
  // REQUIRES: there are so many left.
  void Send(size_t bytes) {
    sent_ += bytes;
    if (empty()) *this = Stash();
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
  size_t sent_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_MESSAGE_QUEUE_H_
