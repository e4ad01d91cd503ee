#include "devices/virtio/vsock/connection/host_loop.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/host_socket.h"

namespace annulus::virtio {
namespace {

using State = Connection::State;

// What one Poll() does at most. The rest stays readable.
constexpr int kEvents = 128;
constexpr int kCalls = 64;
constexpr int kFlushes = 8;        // Per socket.
constexpr size_t kVectors = 1024;  // IOV_MAX.

constexpr uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr uint32_t kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;

}  // namespace

void HostLoop::Poll(int64_t now_ns) {
  now_ns_ = now_ns;
  TakeEvents();
  if (state_.backend.deadline_ns() <= now_ns) TakeCalls();
  MutexLock lock(state_.mu);
  Expire();
}

int64_t HostLoop::deadline_ns() const {
  MutexLock lock(state_.mu);
  return std::min(state_.backend.deadline_ns(), state_.deadlines.earliest_ns());
}

void HostLoop::TakeEvents() {
  std::array<epoll_event, kEvents> events;
  const int count =
      ::epoll_wait(state_.poll_set.get(), events.data(), kEvents, 0);
  for (int i = 0; i < count; ++i) {
    const uint64_t data = events[i].data.u64;
    if (data == MuxerState::kBackendEvent) {
      TakeCalls();
    } else {
      TakeEvent(data, events[i].events);
    }
  }
}

void HostLoop::TakeEvent(uint64_t handle, uint32_t events) {
  Connection* connection = nullptr;
  {
    MutexLock lock(state_.mu);
    if (handle == MuxerState::kWakeEvent) return state_.Woken();
    // It may be gone since, and its descriptor be another's.
    connection = state_.table.FindByHandle(handle);
    if (connection == nullptr || !Note(*connection, events)) return;
    state_.Pin(*connection);
  }
  Flush(*connection);
}

bool HostLoop::Note(Connection& connection, uint32_t events) {
  if ((events & EPOLLHUP) != 0) connection.hung_up = true;
  if ((events & kReadable) != 0) connection.readable = true;
  switch (connection.state) {
    case State::kRequested:
      // Who is gone before the guest could be asked, and has said nothing.
      if (connection.hung_up && !connection.offered &&
          HostSaidNothing(connection.socket.get())) {
        state_.rx.Reset(VsockReset::kHost);
        state_.Drop(connection);
      }
      return false;
    case State::kConnecting:
      if ((events & kWritable) != 0) FinishConnecting(connection);
      return false;
    case State::kEstablished:
      if (connection.hung_up ||
          ((events & kReadable) != 0 && !connection.stalled)) {
        state_.MakeReady(connection);
      }
      if ((events & kWritable) == 0) return false;
      if (connection.has_waiting()) return true;
      // Our own shutdown() looks the same.
      if (connection.stream() && connection.host_receives() &&
          !connection.write_closed && !connection.hung_up &&
          ProbeHostReads(connection.socket.get()) == HostIo::kEnd &&
          !HostHungUp(connection.socket.get())) {
        state_.HostStopsReading(connection);
      }
      QuietWrites(connection);
      return false;
    case State::kLingering:
      return (events & kWritable) != 0;
    case State::kReset:
    case State::kGone:
      return false;
  }
  return false;
}

void HostLoop::QuietWrites(Connection& connection) {
  if (!connection.wrote) return;
  connection.wrote = false;
  // A program that reads as fast as the guest writes makes the socket writable
  // again with each call: these events tell nothing, and wake. That it stopped
  // reading is found with the next write then, or a little later.
  constexpr int64_t kQuietNs = 100'000'000;
  state_.WatchWrite(connection, false);
  connection.tick_ns = std::min(connection.tick_ns, now_ns_ + kQuietNs);
  state_.SetDeadline(connection);
}

void HostLoop::FinishConnecting(Connection& connection) {
  if (!HostConnected(connection.socket.get())) {
    state_.rx.Reset(VsockReset::kRefused);
    return state_.Reset(connection);
  }
  connection.state = State::kEstablished;
  connection.expires_ns = DeadlineQueue::kNever;
  state_.SetDeadline(connection);
  state_.rx.connections.Add(1);
  // Whether the program still reads was not looked at so far.
  state_.WatchWrite(connection, true);
  state_.Expect(connection, kPendingResponse);
}

void HostLoop::Flush(Connection& connection) {
  int flushes = 0;
  while (FlushOnce(connection)) {
    if (++flushes != kFlushes) continue;
    // Others first; there will be another event at once.
    MutexLock lock(state_.mu);
    if (connection.state == State::kEstablished ||
        connection.state == State::kLingering) {
      state_.WatchWrite(connection, true);
    }
    break;
  }
  MutexLock lock(state_.mu);
  state_.Unpin(connection);
}

bool HostLoop::FlushOnce(Connection& connection) {
  std::array<iovec, kVectors> vectors;
  size_t count = 0;
  {
    MutexLock lock(state_.mu);
    if (!connection.has_waiting()) return false;
    const size_t most =
        connection.stream() ? SIZE_MAX : connection.messages.front();
    count = connection.waiting.Front(most, absl::MakeSpan(vectors));
  }
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += vectors[i].iov_len;
  size_t sent = 0;
  const HostIo result =
      SendToHost(connection.socket.get(),
                 absl::MakeConstSpan(vectors.data(), count), bytes, sent);
  MutexLock lock(state_.mu);
  const bool lingers = connection.state == State::kLingering;
  if (!lingers && connection.state != State::kEstablished) return false;
  if (result == HostIo::kFailed) {
    if (lingers) {
      state_.Drop(connection);
    } else {
      state_.rx.Reset(VsockReset::kHost);
      state_.Reset(connection);
    }
    return false;
  }
  if (result == HostIo::kEnd) {
    sent = connection.waiting.size();
    connection.messages.Clear();
    state_.HostStopsReading(connection);
  } else if (result == HostIo::kDone && !connection.stream()) {
    connection.messages.Pop();
  }
  connection.waiting.Consume(sent);
  connection.receive.Forward(static_cast<uint32_t>(sent));
  if (!lingers && connection.receive.ReportDue()) state_.MakeReady(connection);
  if (connection.has_waiting()) return result == HostIo::kDone;
  if (state_.Flushed(connection) && !lingers) {
    state_.rx.Reset(VsockReset::kClosed);
  }
  return false;
}

void HostLoop::TakeCalls() {
  for (int i = 0; i < kCalls; ++i) {
    std::optional<HostCall> call = state_.backend.NextCall(now_ns_);
    if (!call.has_value()) return;
    TakeCall(*std::move(call));
  }
}

void HostLoop::TakeCall(HostCall call) {
  MutexLock lock(state_.mu);
  const bool refused = call.type == kVsockTypeStream
                           ? state_.started && !state_.stream
                           : state_.started && !state_.seqpacket;
  if (refused || !state_.MakePlace()) {
    // Its socket is closed, which is all that it is told.
    state_.rx.Reset(refused ? VsockReset::kType : VsockReset::kLimit);
    return;
  }
  const ConnectionKey key = {
      .guest_port = call.guest_port,
      .host_port = state_.table.NextHostPort(call.guest_port)};
  auto connection =
      std::make_unique<Connection>(key, call.type, state_.options.buf_alloc);
  Connection& added = *connection;
  added.by_host = true;
  added.socket = std::move(call.socket);
  added.greeting = std::move(call.greeting);
  added.expires_ns =
      now_ns_ + absl::ToInt64Nanoseconds(state_.options.connect_wait);
  if (!state_.Add(std::move(connection))) {
    return state_.rx.Reset(VsockReset::kLimit);
  }
  state_.SetDeadline(added);
  state_.Expect(added, kPendingRequest);
}

void HostLoop::Expire() {
  while (const std::optional<uint32_t> slot =
             state_.deadlines.PopDue(now_ns_)) {
    Expire(*state_.table.FindBySlot(*slot));
  }
}

void HostLoop::Expire(Connection& connection) {
  if (now_ns_ >= connection.expires_ns) {
    // In each state a peer did not answer in time.
    state_.rx.Reset(VsockReset::kTimeout);
    if ((connection.state == State::kRequested && !connection.offered) ||
        connection.state == State::kLingering) {
      return state_.Drop(connection);
    }
    return state_.Reset(connection);
  }
  connection.tick_ns = DeadlineQueue::kNever;
  if (connection.state == State::kRequested) {
    state_.Expect(connection, kPendingRequest);
  } else if (connection.state == State::kEstablished) {
    if (!connection.write_watched) state_.WatchWrite(connection, true);
    if (connection.stalled) {
      connection.tick_ns = now_ns_ + MuxerState::kAskForCreditAgainNs;
      state_.Expect(connection, kPendingCreditRequest);
    }
  }
  state_.SetDeadline(connection);
}

}  // namespace annulus::virtio
