#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_STATE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_STATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/connection/connection.h"
#include "devices/virtio/vsock/connection/connection_table.h"
#include "devices/virtio/vsock/connection/deadline_queue.h"
#include "devices/virtio/vsock/connection/ready_list.h"
#include "devices/virtio/vsock/connection/reply_queue.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {

// What the tx worker and the host loop of a muxer share: the connections, the
// lists of what is to be done about them, and how a connection passes from one
// state to the next. One lock guards it all; no system call that moves payload
// is made under it.
//
// Threads: as said for each member.
class MuxerState {
 public:
  // In place of the handle of a connection, in events of the poll set.
  static constexpr uint64_t kWakeEvent = UINT64_MAX;
  static constexpr uint64_t kBackendEvent = UINT64_MAX - 1;

  // A guest tells by itself when there is room for bytes again, but not of
  // packets: it does not know that they are counted.
  static constexpr int64_t kAskForCreditAgainNs = 500'000'000;

  static absl::StatusOr<std::unique_ptr<MuxerState>> Create(
      const VsockOptions& options, VsockBackend& backend, VsockCounters& rx,
      VsockCounters& tx, LogSink& log);

  // Constant.
  const VsockOptions options;
  VsockBackend& backend;
  VsockCounters& rx;  // Of the host loop.
  VsockCounters& tx;  // Of the tx worker.
  LogSink& log;
  // An epoll(7) of all sockets, of the backend and of the doorbell by which the
  // tx worker wakes the host loop.
  const UniqueFd poll_set;
  const EventFd doorbell;
  const size_t segment_bytes;  // Of each connection's SpillBuffer.

  Mutex mu;
  ConnectionTable table ABSL_GUARDED_BY(mu);
  ReadyList ready ABSL_GUARDED_BY(mu);
  ReadyList lingering ABSL_GUARDED_BY(mu);  // Since when, the longest first.
  DeadlineQueue deadlines ABSL_GUARDED_BY(mu);
  ReplyQueue replies ABSL_GUARDED_BY(mu);
  uint64_t guest_cid ABSL_GUARDED_BY(mu);
  bool started ABSL_GUARDED_BY(mu) = false;
  bool stream ABSL_GUARDED_BY(mu) = false;  // Negotiated, or implied.
  bool seqpacket ABSL_GUARDED_BY(mu) = false;

  // Read by any thread.
  std::atomic<uint32_t> connections{0};

  // What sockets there are is settled.
  void Start(const FeatureSet& negotiated) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The guest has no connections any more.
  void ForgetGuest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void DropAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // A packet of this connection, which tells of its window as of now. Once it
  // was sent, receive.Report() is to be told.
  PacketHeader HeaderFor(const Connection& connection, uint16_t op) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // A new connection with a socket. False: the host refuses to watch it, and
  // it is gone again.
  bool Add(std::unique_ptr<Connection> connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Whether there is a place for another one. Those that the guest has done
  // with give theirs up, the longest waiting first.
  bool MakePlace() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // It has something to send.
  void MakeReady(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void Expect(Connection& connection, uint8_t pending)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Takes over expires_ns and tick_ns.
  void SetDeadline(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Asks for events when the socket can be written to, one at once if it can;
  // or for none.
  void WatchWrite(Connection& connection, bool watch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Ends it with a RST.
  void Reset(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Ends it without a word.
  void Drop(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The guest is done with it. What it sent is still to be written.
  void Linger(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // The host's program reads no more.
  void HostStopsReading(Connection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Nothing waits for the host's program now: does what had to come after it.
  // True: that was the end of the connection.
  bool Flushed(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Keeps the object and its socket while the lock is not held.
  void Pin(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    ++connection.pins;
  }
  void Unpin(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Whether the host loop is to be woken for what was done since `wanted_` was
  // last cleared, and has not been already.
  void ForgetWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { wanted_ = false; }
  bool TakeWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void WantWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { wanted_ = true; }
  void Woken() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { rung_ = false; }

 private:
  MuxerState(const VsockOptions& o, VsockBackend& b, VsockCounters& r,
             VsockCounters& t, LogSink& l, UniqueFd set, EventFd bell);

  void Watch(Connection& connection, int operation, uint32_t events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Of who is not to get events, or deadlines, or turns.
  void Detach(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  bool wanted_ ABSL_GUARDED_BY(mu) = false;
  bool rung_ ABSL_GUARDED_BY(mu) = false;
};

// Holds the lock on the tx worker, and wakes the host loop behind it if there
// is something for it to do.
class ABSL_SCOPED_LOCKABLE WakingLock {
 public:
  explicit WakingLock(MuxerState& state) ABSL_EXCLUSIVE_LOCK_FUNCTION(state.mu)
      : state_(state) {
    state_.mu.Lock();
    state_.ForgetWake();
  }
  ~WakingLock() ABSL_UNLOCK_FUNCTION() {
    const bool wake = state_.TakeWake();
    state_.mu.Unlock();
    if (wake) state_.doorbell.Signal();
  }
  WakingLock(const WakingLock&) = delete;
  WakingLock& operator=(const WakingLock&) = delete;

 private:
  MuxerState& state_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_STATE_H_
