#ifndef DEVICES_VIRTIO_NET_BACKEND_NULL_BACKEND_H_
#define DEVICES_VIRTIO_NET_BACKEND_NULL_BACKEND_H_

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "devices/virtio/net/backend/all_offloads.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

struct NullBackendOptions {
  uint16_t queue_pairs = 1;
  // Bytes of each frame that is received, without its header, 14 to
  // kNetMaxFrameBytes; 0: none is ever received.
  uint32_t generate_bytes = 0;
};

// One pair of a NullBackend.
//
// Threads: as NetBackendQueue; the counters from any thread.
class alignas(64) NullQueue final : public NetBackendQueue {
 public:
  // `generated` is what Receive() gives, or empty.
  explicit NullQueue(absl::Span<const uint8_t> generated)
      : generated_(generated) {}

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;
  uint32_t SendPlain(absl::Span<const iovec> frames) override;
  Transfer Receive(absl::Span<const iovec> room) override;
  uint32_t CopyPlain(absl::Span<const iovec> rooms,
                     absl::Span<uint32_t> bytes) override;

  // Nothing comes, or there is always more: either way no waiting.
  int readable_fd() const override { return -1; }
  int writable_fd() const override { return -1; }

  uint64_t frames_sent() const {
    return frames_.load(std::memory_order_relaxed);
  }
  // Their headers are not counted.
  uint64_t bytes_sent() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  void Count(uint64_t frames, uint64_t bytes);

  const absl::Span<const uint8_t> generated_;
  // Written by the one thread that sends. Relaxed: they guard no other memory.
  std::atomic<uint64_t> frames_{0};
  std::atomic<uint64_t> bytes_{0};
};

// Nowhere: frames that are sent are counted and forgotten. What is received, if
// it is asked for, is one broadcast frame without end: it is what a device's
// own path costs.
//
// Threads, Trust, Allocation: as NetBackend and NetBackendQueue say.
class NullBackend final : public NetBackend {
 public:
  static absl::StatusOr<std::unique_ptr<NullBackend>> Create(
      const NullBackendOptions& options);

  // No frame that is sent meets a wire, none that is received needs an offload.
  FeatureSet offloads() const override { return kAllOffloads; }
  uint16_t queue_pairs() const override {
    return static_cast<uint16_t>(queues_.size());
  }
  NullQueue& queue(uint16_t pair) override { return *queues_[pair]; }
  absl::Status SetReceiveOffloads(const FeatureSet&) override {
    return absl::OkStatus();
  }
  absl::Status SetActivePairs(uint16_t pairs) override;
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver*) override {}  // Never changes.

 private:
  explicit NullBackend(const NullBackendOptions& options);

  const std::vector<uint8_t> generated_;
  std::vector<std::unique_ptr<NullQueue>> queues_;  // Refer to generated_.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_NULL_BACKEND_H_
