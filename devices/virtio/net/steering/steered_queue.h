#ifndef DEVICES_VIRTIO_NET_STEERING_STEERED_QUEUE_H_
#define DEVICES_VIRTIO_NET_STEERING_STEERED_QUEUE_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/steering_inboxes.h"

namespace annulus::virtio {

// One queue of a backend as seen under receive-side scaling (virtio 1.4
// §5.1.6.5.7 "Receive-side scaling (RSS)"): what is received here are the
// frames that the indirection table has for this pair, whichever queue of the
// backend they come in by. A frame for another pair goes into that pair's
// inbox; what the others left in ours is received like all else.
//
// Frames of one flow that come in by one queue keep their order, but for those
// that are under way while the table changes. Who has no buffers to receive
// into takes in nothing for the others either.
//
// Threads: as NetBackendQueue; Stop() from any thread, Start() while Receive()
// is not
//   called.
// Trust: frames lie in guest memory when they are hashed and copied: a driver
//   that changes them meanwhile steers its own frames.
// Allocation: none after Create().
class SteeredQueue final : public NetBackendQueue {
 public:
  // Frames for others that one Receive() moves, at most.
  static constexpr int kMaxMoved = 32;
  // Frames from the inbox, at most, before the backend has its turn.
  static constexpr int kMaxInboxRun = 16;

  // All outlive the queue. What is lost is counted in `counters`, of this
  // pair's receiveq. The backend's readable_fd() is constant.
  static absl::StatusOr<std::unique_ptr<SteeredQueue>> Create(
      NetBackendQueue& backend, uint16_t pair, const NetSettingsStore& settings,
      SteeringInboxes& inboxes, QueueCounters& counters);

  // The receiveq is about to run, or runs no more. As made, it does not run.
  void Start() { inboxes_.Open(pair_); }
  void Stop() { inboxes_.Close(pair_); }

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    return backend_.Send(frame, bytes);
  }
  void Flush() override { backend_.Flush(); }
  Transfer Receive(absl::Span<const iovec> room) override;
  int readable_fd() const override {
    return interrupted_ ? inboxes_.always_readable_fd() : epoll_.get();
  }
  int writable_fd() const override { return backend_.writable_fd(); }

 private:
  SteeredQueue(NetBackendQueue& backend, uint16_t pair,
               const NetSettingsStore& settings, SteeringInboxes& inboxes,
               QueueCounters& counters, UniqueFd epoll)
      : backend_(backend),
        pair_(pair),
        reader_(settings),
        inboxes_(inboxes),
        counters_(counters),
        epoll_(std::move(epoll)) {}

  Transfer TakeFromInbox(absl::Span<const uint8_t> front,
                         absl::Span<const iovec> room);
  bool IsForUs(const RssConfig& rss, absl::Span<const iovec> frame,
               uint32_t bytes);

  NetBackendQueue& backend_;
  const uint16_t pair_;
  NetSettingsReader reader_;
  SteeringInboxes& inboxes_;
  QueueCounters& counters_;
  const UniqueFd epoll_;  // Of the backend's descriptor and the inbox's.

  // The receiver's.
  int inbox_run_ = 0;
  bool interrupted_ = false;  // There may be more; no descriptor knows.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_STEERED_QUEUE_H_
