#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_SOURCES_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_SOURCES_H_

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/tap_backend.h"
#include "devices/virtio/spec/features.h"
#include "tests/bench/header_split_bench_frames.h"
#include "tests/bench/header_split_bench_steps.h"

namespace annulus::bench {

// Copies frames out of memory into the vectors that it is given, as a switch
// does from the memory of another VM. There is always one more.
class MemorySource final : public virtio::NetBackend,
                           private virtio::NetBackendQueue {
 public:
  // Both outlive the source. `steps` has the worker's way from frame to frame.
  MemorySource(const BenchFrames& frames, StepTimes& steps)
      : frames_(frames), steps_(steps) {}

  virtio::FeatureSet offloads() const override;
  uint16_t queue_pairs() const override { return 1; }
  virtio::NetBackendQueue& queue(uint16_t) override { return *this; }
  absl::Status SetReceiveOffloads(const virtio::FeatureSet&) override {
    return absl::OkStatus();
  }
  absl::Status SetActivePairs(uint16_t) override { return absl::OkStatus(); }
  bool link_up() const override { return true; }
  void SetLinkObserver(virtio::LinkObserver*) override {}

 private:
  virtio::Transfer Send(absl::Span<const iovec>, uint32_t bytes) override {
    return {virtio::TransferStatus::kDone, bytes};
  }
  virtio::Transfer Receive(absl::Span<const iovec> room) override;
  int readable_fd() const override { return -1; }
  int writable_fd() const override { return -1; }

  const BenchFrames& frames_;
  StepTimes& steps_;  // The receive worker's, as the next.
  uint32_t next_ = 0;
};

// Opened and closed by the driver's thread while the worker runs.
class Gate {
 public:
  // Release and acquire: what was sent before the gate was opened can be
  // received after that.
  void Open() { open_.store(true, std::memory_order_release); }
  void Close() { open_.store(false, std::memory_order_release); }
  bool open() const { return open_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> open_{false};
};

// A tap through a gate: while it is closed nothing is received, so that frames
// can be sent without being part of what is measured.
class GatedTap final : public virtio::NetBackend,
                       private virtio::NetBackendQueue {
 public:
  GatedTap(std::unique_ptr<virtio::TapBackend> tap, const Gate& gate)
      : tap_(std::move(tap)), gate_(gate) {}

  virtio::FeatureSet offloads() const override { return tap_->offloads(); }
  uint16_t queue_pairs() const override { return 1; }
  virtio::NetBackendQueue& queue(uint16_t) override { return *this; }
  absl::Status SetReceiveOffloads(const virtio::FeatureSet& offloads) override {
    return tap_->SetReceiveOffloads(offloads);
  }
  absl::Status SetActivePairs(uint16_t) override { return absl::OkStatus(); }
  bool link_up() const override { return tap_->link_up(); }
  void SetLinkObserver(virtio::LinkObserver* observer) override {
    tap_->SetLinkObserver(observer);
  }

 private:
  virtio::Transfer Send(absl::Span<const iovec> frame,
                        uint32_t bytes) override {
    return tap_->queue(0).Send(frame, bytes);
  }
  virtio::Transfer Receive(absl::Span<const iovec> room) override {
    if (!gate_.open()) return {virtio::TransferStatus::kAgain, 0};
    return tap_->queue(0).Receive(room);
  }
  int readable_fd() const override { return tap_->queue(0).readable_fd(); }
  int writable_fd() const override { return tap_->queue(0).writable_fd(); }

  const std::unique_ptr<virtio::TapBackend> tap_;
  const Gate& gate_;
};

// Moves the process into a network namespace of its own in which nobody else
// sends. REQUIRES: no other thread was started; root.
void EnterNetNamespace();

// Makes an interface that carries frames up to `mtu`.
std::unique_ptr<virtio::TapBackend> MakeTap(const std::string& name,
                                            uint32_t mtu);

// Who sends to the interface: an AF_PACKET socket, past the queueing
// discipline, with the offloads that each frame says.
class TapSender {
 public:
  // `frames` outlive the sender.
  TapSender(const BenchFrames& frames, const std::string& interface);

  void SendNext();

 private:
  const BenchFrames& frames_;
  UniqueFd fd_;
  int index_;
  uint32_t next_ = 0;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_SOURCES_H_
