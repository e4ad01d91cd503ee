#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_LOOP_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_LOOP_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/connection/muxer_state.h"

namespace annulus::virtio {

// What happens on the host's side of connections: callers come, sockets become
// readable or writable, and time passes.
//
// Threads: the one that runs the host loop.
// Allocation: per caller.
class HostLoop {
 public:
  // `state` outlives it.
  explicit HostLoop(MuxerState& state) : state_(state) {}

  // Never blocks.
  void Poll(int64_t now_ns);

  // By when to call it in any case.
  int64_t deadline_ns() const;

 private:
  void TakeEvents();
  void TakeEvent(uint64_t handle, uint32_t events);
  // What an event says about a connection. True: what waits for its socket is
  // to be written; then it is pinned.
  bool Note(Connection& connection, uint32_t events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  // Asks for no more events of a socket that is written to as it is.
  void QuietWrites(Connection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void FinishConnecting(Connection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  void Flush(Connection& connection);
  // True: there is more to write, and room for it.
  bool FlushOnce(Connection& connection);

  void TakeCalls();
  void TakeCall(HostCall call);
  void Expire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void Expire(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  MuxerState& state_;
  int64_t now_ns_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_LOOP_H_
