#include "devices/virtio/vsock/connection/muxer_state.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

constexpr size_t kLeastSegmentBytes = 64 * 1024;
// How long a host program may leave unread what a guest has sent that is done
// with the connection: a pause is no reason to lose it, but it occupies memory.
constexpr int64_t kLingerNs = int64_t{600} * 1'000'000'000;
constexpr size_t kMostSegments = 512;  // A message fits in IOV_MAX vectors.

// Edges: who has been told that a socket can be read remembers it.
constexpr uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint32_t kAllEvents = kReadEvents | EPOLLOUT;

absl::Status AddToPollSet(int set, int fd, uint32_t events, uint64_t data) {
  epoll_event event = {.events = events, .data = {.u64 = data}};
  if (::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ErrnoToStatus(errno, "watching a descriptor with epoll");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<MuxerState>> MuxerState::Create(
    const VsockOptions& options, VsockBackend& backend, VsockCounters& rx,
    VsockCounters& tx, LogSink& log) {
  UniqueFd set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set.valid()) return absl::ErrnoToStatus(errno, "creating an epoll");
  ANNULUS_ASSIGN_OR_RETURN(EventFd bell, EventFd::Create());
  // An edge for each signal, so that nobody has to read it.
  ANNULUS_RETURN_IF_ERROR(
      AddToPollSet(set.get(), bell.fd(), EPOLLIN | EPOLLET, kWakeEvent));
  ANNULUS_RETURN_IF_ERROR(
      AddToPollSet(set.get(), backend.fd(), EPOLLIN, kBackendEvent));
  return std::unique_ptr<MuxerState>(new MuxerState(
      options, backend, rx, tx, log, std::move(set), std::move(bell)));
}

MuxerState::MuxerState(const VsockOptions& o, VsockBackend& b, VsockCounters& r,
                       VsockCounters& t, LogSink& l, UniqueFd set, EventFd bell)
    : options(o),
      backend(b),
      rx(r),
      tx(t),
      log(l),
      poll_set(std::move(set)),
      doorbell(std::move(bell)),
      segment_bytes(std::max(kLeastSegmentBytes, o.buf_alloc / kMostSegments)),
      guest_cid(o.guest_cid) {}

void MuxerState::Start(const FeatureSet& negotiated) {
  started = true;
  seqpacket = negotiated.Has(kVsockSeqpacket);
  // "If no feature bit has been negotiated, the device SHOULD act as if
  // VIRTIO_VSOCK_F_STREAM has been negotiated." And with SEQPACKET, it may,
  // unless NO_IMPLIED_STREAM has been negotiated (§5.10.3 "Feature bits").
  stream =
      negotiated.Has(kVsockStream) || !negotiated.Has(kVsockNoImpliedStream);
  for (uint32_t slot = 0; slot != table.slots(); ++slot) {
    Connection* const caller = table.FindBySlot(slot);
    if (caller == nullptr || caller->state != Connection::State::kRequested) {
      continue;
    }
    if (!(caller->stream() ? stream : seqpacket)) {
      rx.Reset(VsockReset::kType);
      Drop(*caller);
    }
  }
}

void MuxerState::ForgetGuest() {
  started = false;
  replies.Clear();
  for (uint32_t slot = 0; slot != table.slots(); ++slot) {
    Connection* const connection = table.FindBySlot(slot);
    if (connection == nullptr) continue;
    const bool offered = connection->state != Connection::State::kRequested ||
                         connection->offered;
    if (!offered || connection->state == Connection::State::kLingering) {
      continue;
    }
    rx.Reset(VsockReset::kTransport);
    // What the guest had sent, say as it shut down, is not lost.
    if (connection->state == Connection::State::kEstablished &&
        connection->has_waiting()) {
      Linger(*connection);
    } else {
      Drop(*connection);
    }
  }
}

void MuxerState::DropAll() {
  for (uint32_t slot = 0; slot != table.slots(); ++slot) {
    Connection* const connection = table.FindBySlot(slot);
    if (connection != nullptr) Drop(*connection);
  }
}

PacketHeader MuxerState::HeaderFor(const Connection& connection,
                                   uint16_t op) const {
  return {.src_cid = kVsockHostCid,
          .dst_cid = guest_cid,
          .src_port = connection.key.host_port,
          .dst_port = connection.key.guest_port,
          .type = connection.type,
          .op = op,
          .buf_alloc = connection.receive.buf_alloc(),
          .fwd_cnt = connection.receive.forwarded()};
}

bool MuxerState::Add(std::unique_ptr<Connection> connection) {
  Connection& added = table.Insert(std::move(connection));
  const absl::Status watched =
      AddToPollSet(poll_set.get(), added.socket.get(), kAllEvents,
                   ConnectionTable::HandleOf(added));
  if (!watched.ok()) {
    table.Remove(added);
    return false;
  }
  connections.store(static_cast<uint32_t>(table.size()),
                    std::memory_order_relaxed);
  return true;
}

bool MuxerState::MakePlace() {
  if (table.size() < options.max_connections) return true;
  if (lingering.empty()) return false;
  rx.Reset(VsockReset::kLimit);
  Drop(*lingering.Front());
  return true;
}

void MuxerState::MakeReady(Connection& connection) {
  ready.PushBack(connection);
  WantWake();
}

void MuxerState::Expect(Connection& connection, uint8_t pending) {
  connection.pending |= pending;
  MakeReady(connection);
}

void MuxerState::SetDeadline(Connection& connection) {
  deadlines.Set(connection.slot,
                std::min(connection.expires_ns, connection.tick_ns));
  WantWake();
}

void MuxerState::Watch(Connection& connection, int operation, uint32_t events) {
  epoll_event event = {.events = events,
                       .data = {.u64 = ConnectionTable::HandleOf(connection)}};
  // Neither fails for a descriptor that is in the set.
  ::epoll_ctl(poll_set.get(), operation, connection.socket.get(), &event);
}

void MuxerState::WatchWrite(Connection& connection, bool watch) {
  connection.write_watched = watch;
  Watch(connection, EPOLL_CTL_MOD, watch ? kAllEvents : kReadEvents);
}

void MuxerState::Detach(Connection& connection) {
  const bool lingers = connection.state == Connection::State::kLingering;
  (lingers ? lingering : ready).Remove(connection);
  deadlines.Clear(connection.slot);
  connection.expires_ns = connection.tick_ns = DeadlineQueue::kNever;
  // Not left to close(): the host's program may have the same open file.
  if (connection.socket.valid()) Watch(connection, EPOLL_CTL_DEL, 0);
}

void MuxerState::Reset(Connection& connection) {
  Detach(connection);
  connection.state = Connection::State::kReset;
  connection.pending = kPendingReset;
  if (connection.pins == 0) {
    connection.socket.reset();
    connection.ClearWaiting();
  }
  MakeReady(connection);
}

void MuxerState::Drop(Connection& connection) {
  Detach(connection);
  connection.state = Connection::State::kGone;
  std::unique_ptr<Connection> removed = table.Remove(connection);
  connections.store(static_cast<uint32_t>(table.size()),
                    std::memory_order_relaxed);
  // The last Unpin() frees it.
  if (connection.pins != 0) static_cast<void>(removed.release());
}

void MuxerState::Linger(Connection& connection) {
  ready.Remove(connection);
  table.RemoveKey(connection);
  connection.state = Connection::State::kLingering;
  lingering.PushBack(connection);
  connection.tick_ns = DeadlineQueue::kNever;
  connection.expires_ns = MonotonicNanoseconds() + kLingerNs;
  SetDeadline(connection);
  if (!connection.write_watched) WatchWrite(connection, true);
  connection.pending = 0;
  connection.guest_shutdown = kVsockShutdownBoth;
  ::shutdown(connection.socket.get(), SHUT_RD);
}

void MuxerState::HostStopsReading(Connection& connection) {
  if (connection.state != Connection::State::kEstablished) return;
  connection.host_shutdown |= kVsockShutdownReceive;
  Expect(connection, kPendingShutdown);
}

bool MuxerState::Flushed(Connection& connection) {
  ANNULUS_DCHECK(!connection.has_waiting());
  if (connection.state == Connection::State::kLingering) {
    Drop(connection);
    return true;
  }
  if (connection.state != Connection::State::kEstablished) return false;
  if (connection.guest_shutdown == kVsockShutdownBoth) {
    // "... followed by a VIRTIO_VSOCK_OP_RST response from the peer."
    // (§5.10.6.6 "Stream Sockets")
    Reset(connection);
    return true;
  }
  if ((connection.guest_shutdown & kVsockShutdownSend) != 0 &&
      !connection.write_closed) {
    connection.write_closed = true;
    ::shutdown(connection.socket.get(), SHUT_WR);
  }
  return false;
}

void MuxerState::Unpin(Connection& connection) {
  ANNULUS_DCHECK(connection.pins != 0);
  if (--connection.pins != 0) return;
  if (connection.state == Connection::State::kReset) {
    connection.socket.reset();
    connection.ClearWaiting();
  } else if (connection.state == Connection::State::kGone) {
    std::unique_ptr<Connection> freed(&connection);
  }
}

bool MuxerState::TakeWake() {
  if (!wanted_ || rung_) return false;
  rung_ = true;
  return true;
}

}  // namespace annulus::virtio
