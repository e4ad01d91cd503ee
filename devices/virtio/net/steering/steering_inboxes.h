#ifndef DEVICES_VIRTIO_NET_STEERING_STEERING_INBOXES_H_
#define DEVICES_VIRTIO_NET_STEERING_STEERING_INBOXES_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "devices/virtio/net/backend/frame_inbox.h"

namespace annulus::virtio {

// Where receive workers leave frames for each other: one bounded inbox per
// queue pair, closed while its receiveq does not run. "If the destination
// receive queue is being reset, the device MUST drop the packet" (virtio 1.4
// §5.1.6.5.7.4 "RSS processing"), so none piles up or comes late.
//
// Threads: Give() and Close() from any thread; the reader's side of a pair on
//   one, and Open() while nobody uses that.
// Allocation: all in Create(); a megabyte for each pair, as it is used.
class SteeringInboxes {
 public:
  static absl::StatusOr<std::unique_ptr<SteeringInboxes>> Create(
      uint16_t pairs);

  // Hot. Copies the first `bytes` of `frame` into the inbox of `pair`. False:
  // it has no room for them, or is closed. REQUIRES: `frame` has so many, and
  // 1 <= bytes <= FrameInbox::kMaxFrameBytes.
  //
  // Takes a lock, the one that several writers of a ring need; frames that stay
  // in the queue that they came in by never come here.
  bool Give(uint16_t pair, absl::Span<const iovec> frame, uint32_t bytes);

  // As made, all are closed. What an inbox still has when it is opened again is
  // of another time, and gone.
  void Open(uint16_t pair);
  void Close(uint16_t pair);

  // The readers ask again and again, and wait for no descriptor; or wait, as at
  // first. Any thread.
  void SetPolled(bool polled);

  // The reader's side.
  FrameInbox& inbox(uint16_t pair) { return boxes_[pair]->inbox; }

  // A descriptor of which poll(2) always says POLLIN: for who has to come back
  // at once.
  int always_readable_fd() const { return always_readable_.fd(); }

 private:
  struct Box {
    explicit Box(EventFd readable) : inbox(std::move(readable)) {}

    Mutex mu;
    bool open ABSL_GUARDED_BY(mu) = false;
    FrameInbox inbox;  // Its writer's side is guarded by mu.
  };

  SteeringInboxes(std::vector<std::unique_ptr<Box>> boxes,
                  EventFd always_readable)
      : boxes_(std::move(boxes)),
        always_readable_(std::move(always_readable)) {}

  const std::vector<std::unique_ptr<Box>> boxes_;
  const EventFd always_readable_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_STEERING_INBOXES_H_
