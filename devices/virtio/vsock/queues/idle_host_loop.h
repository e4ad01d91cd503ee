#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_IDLE_HOST_LOOP_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_IDLE_HOST_LOOP_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/queues/turn.h"

namespace annulus::virtio {

// The thread that runs a muxer's host loop while no rx virtqueue does: before
// the driver is there, and between two runs of the queue. Callers are accepted,
// and given up on, and what a connection has for the host's program is written,
// at any time.
//
// Threads: Pause() and Resume() on the rx worker; both loops run in `turn`.
class IdleHostLoop {
 public:
  // Starts the thread, which runs the loop until Pause(). All but the name
  // outlive the object. Fails where the host refuses a thread or a descriptor.
  static absl::StatusOr<std::unique_ptr<IdleHostLoop>> Create(
      const std::string& name, Muxer& muxer, Turn& turn);

  IdleHostLoop(const IdleHostLoop&) = delete;
  IdleHostLoop& operator=(const IdleHostLoop&) = delete;
  ~IdleHostLoop();  // Joins the thread.

  // The loop is the caller's from its next turn on.
  void Pause();
  void Resume();

  // Any thread: the muxer has something to do that its fd does not say.
  void Wake() { wake_.Signal(); }

 private:
  IdleHostLoop(Muxer& muxer, Turn& turn, EventFd wake)
      : muxer_(muxer), turn_(turn), wake_(std::move(wake)) {}

  void ThreadMain();
  bool AwaitWork();
  void RunOnce();

  Muxer& muxer_;
  Turn& turn_;
  const EventFd wake_;  // From its sleep on the muxer.

  Mutex mu_;  // After the turn.
  CondVar changed_;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool exit_ ABSL_GUARDED_BY(mu_) = false;

  Thread thread_;  // Last: the thread uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_IDLE_HOST_LOOP_H_
