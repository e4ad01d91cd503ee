#include "devices/virtio/vsock/connection/guest_packets.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/log_sink.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/host_socket.h"

namespace annulus::virtio {
namespace {

using State = Connection::State;

constexpr size_t kVectors = 1024;  // IOV_MAX.

ConnectionKey KeyOf(const PacketHeader& header) {
  return {.guest_port = header.src_port, .host_port = header.dst_port};
}

}  // namespace

GuestPackets::GuestPackets(MuxerState& state)
    : state_(state), log_limit_(10, absl::Minutes(1)) {}

void GuestPackets::Take(const PacketHeader& header,
                        const PacketPayload& payload) {
  if (header.op == kVsockOpRequest) return Request(header);
  Way way = Way::kNone;
  Connection* const connection = Dispatch(header, way);
  const bool end = (header.flags & kVsockSeqEom) != 0;
  if (way == Way::kDirect) {
    WritePayload(*connection, payload, end);
  } else if (way == Way::kWaiting) {
    KeepPayload(*connection, payload, end);
  }
}

void GuestPackets::Refuse(const PacketHeader& header, VsockReset reason) {
  WakingLock lock(state_);
  Reply(header, reason);
}

void GuestPackets::Reply(const PacketHeader& header, VsockReset reason) {
  // A RST is never answered with one: it might meet a new connection.
  if (header.op == kVsockOpRst) return;
  state_.tx.Reset(reason);
  if (!state_.replies.Push(ResetFor(header))) state_.tx.replies_lost.Add(1);
  state_.WantWake();
}

void GuestPackets::Refuse(Connection& connection, VsockReset reason) {
  state_.tx.Reset(reason);
  state_.Reset(connection);
}

bool GuestPackets::MayRequest(const PacketHeader& header) {
  WakingLock lock(state_);
  const bool known = (header.type == kVsockTypeStream && state_.stream) ||
                     (header.type == kVsockTypeSeqpacket && state_.seqpacket);
  if (!known) {
    Reply(header, VsockReset::kType);
    return false;
  }
  if (!state_.replies.empty()) state_.replies.Forget(header);
  // The guest may use a pair of ports again at once; then the RST that it was
  // still to get would meet the new connection.
  if (Connection* const old = state_.table.Find(KeyOf(header));
      old != nullptr) {
    if (old->state == State::kEstablished && old->has_waiting() &&
        (old->guest_shutdown & kVsockShutdownSend) != 0) {
      state_.Linger(*old);
    } else {
      state_.Drop(*old);
    }
  }
  if (!state_.MakePlace()) {
    Reply(header, VsockReset::kLimit);
    return false;
  }
  return true;
}

void GuestPackets::Request(const PacketHeader& header) {
  if (!MayRequest(header)) return;
  absl::StatusOr<VsockBackend::Connection> host =
      state_.backend.Connect(header.type, header.dst_port);
  const int64_t now_ns = MonotonicNanoseconds();
  if (!host.ok() && log_limit_.Allow(now_ns)) {
    state_.log.Log(
        LogSeverity::kInfo,
        absl::StrCat(state_.options.name, ": the guest called port ",
                     header.dst_port, ": ", host.status().message()));
  }
  WakingLock lock(state_);
  if (!host.ok()) {
    return Reply(header, absl::IsResourceExhausted(host.status())
                             ? VsockReset::kLimit
                             : VsockReset::kRefused);
  }
  // The host loop may have taken the last place meanwhile, or even this key.
  const ConnectionKey key = KeyOf(header);
  if (!state_.MakePlace() || state_.table.Find(key) != nullptr) {
    return Reply(header, VsockReset::kLimit);
  }
  auto connection =
      std::make_unique<Connection>(key, header.type, state_.options.buf_alloc);
  Connection& added = *connection;
  added.socket = std::move(host->socket);
  added.send.Update(header.buf_alloc, header.fwd_cnt);
  added.receive.SetGuestWindow(header.buf_alloc);
  added.state = host->connecting ? State::kConnecting : State::kEstablished;
  if (!state_.Add(std::move(connection))) {
    return Reply(header, VsockReset::kLimit);
  }
  if (host->connecting) {
    added.expires_ns =
        now_ns + absl::ToInt64Nanoseconds(state_.options.connect_wait);
    state_.SetDeadline(added);
    return;
  }
  state_.tx.connections.Add(1);
  state_.Expect(added, kPendingResponse);
}

void GuestPackets::TakeCredit(Connection& connection,
                              const PacketHeader& header) {
  bool news = connection.send.Update(header.buf_alloc, header.fwd_cnt);
  if (header.op == kVsockOpCreditUpdate) {
    if (connection.credit_requests != 0) {
      --connection.credit_requests;
    } else {
      ++connection.messages_read;
      news |= connection.awaits_reader;
    }
  }
  connection.receive.SetGuestWindow(header.buf_alloc);
  if (connection.state != State::kEstablished) return;
  if (news && connection.stalled) {
    connection.stalled = false;
    state_.MakeReady(connection);
  } else if (connection.receive.ReportDue()) {
    // Its window may have become smaller.
    state_.MakeReady(connection);
  }
}

Connection* GuestPackets::Dispatch(const PacketHeader& header, Way& way) {
  WakingLock lock(state_);
  Connection* const found = state_.table.Find(KeyOf(header));
  if (found == nullptr || found->type != header.type) {
    const bool known =
        header.type == kVsockTypeStream || header.type == kVsockTypeSeqpacket;
    Reply(header,
          known && found == nullptr ? VsockReset::kUnknown : VsockReset::kType);
    return nullptr;
  }
  Connection& connection = *found;
  if (connection.state == State::kReset) {
    if (header.op == kVsockOpRst) state_.Drop(connection);
    return nullptr;
  }
  TakeCredit(connection, header);
  switch (header.op) {
    case kVsockOpRst:
      Rst(connection);
      return nullptr;
    case kVsockOpResponse:
      Response(connection);
      return nullptr;
    case kVsockOpShutdown:
      Shutdown(connection, header.flags);
      return nullptr;
    case kVsockOpRw:
      way = AcceptPayload(connection, header);
      if (way != Way::kNone) state_.Pin(connection);
      return &connection;
    case kVsockOpCreditUpdate:
      return nullptr;
    case kVsockOpCreditRequest:
      if (connection.state == State::kEstablished) {
        state_.Expect(connection, kPendingCreditUpdate);
      }
      return nullptr;
    default:
      Refuse(connection, VsockReset::kProtocol);
      return nullptr;
  }
}

void GuestPackets::Response(Connection& connection) {
  if (connection.state != State::kRequested || !connection.offered) {
    return Refuse(connection, VsockReset::kProtocol);
  }
  connection.state = State::kEstablished;
  connection.expires_ns = connection.tick_ns = DeadlineQueue::kNever;
  state_.SetDeadline(connection);
  if (!connection.greeting.empty()) {
    const std::string text = absl::StrReplaceAll(
        connection.greeting, {{"%", absl::StrCat(connection.key.host_port)}});
    std::string().swap(connection.greeting);
    const iovec vector = {const_cast<char*>(text.data()), text.size()};
    size_t sent = 0;
    // Who has closed its end already may still have said something before,
    // which is delivered: only what comes from the guest is lost.
    // Nothing was sent before, so there is room for this.
    SendToHost(connection.socket.get(), absl::MakeConstSpan(&vector, 1),
               text.size(), sent);
  }
  // Whether the program still reads was not looked at so far.
  state_.WatchWrite(connection, true);
  state_.MakeReady(connection);
}

void GuestPackets::Rst(Connection& connection) {
  if (connection.state == State::kRequested &&
      state_.options.listen_wait > absl::ZeroDuration()) {
    const int64_t now = MonotonicNanoseconds();
    const int64_t until = connection.offered_ns +
                          absl::ToInt64Nanoseconds(state_.options.listen_wait);
    constexpr int64_t kAgainNs = 100'000'000;
    if (now + kAgainNs <= until) {
      connection.tick_ns = now + kAgainNs;
      connection.expires_ns =
          connection.tick_ns +
          absl::ToInt64Nanoseconds(state_.options.connect_wait);
      state_.SetDeadline(connection);
      return;
    }
  }
  const bool regular = connection.guest_shutdown == kVsockShutdownBoth ||
                       connection.sent_shutdown == kVsockShutdownBoth;
  state_.tx.Reset(regular ? VsockReset::kClosed : VsockReset::kByGuest);
  // Who said that it has sent all does not take that back.
  if (connection.state == State::kEstablished && connection.has_waiting() &&
      (connection.guest_shutdown & kVsockShutdownSend) != 0) {
    return state_.Linger(connection);
  }
  state_.Drop(connection);
}

void GuestPackets::Shutdown(Connection& connection, uint32_t flags) {
  if (connection.state != State::kEstablished) {
    return Refuse(connection, VsockReset::kProtocol);
  }
  const bool received = connection.guest_receives();
  // "These hints are permanent once sent and successive packets with bits clear
  // do not reset them." (§5.10.6.6)
  connection.guest_shutdown |= flags & kVsockShutdownBoth;
  if (received && !connection.guest_receives()) {
    // The host's program gets EPIPE, and what it had written is dropped.
    ::shutdown(connection.socket.get(), SHUT_RD);
    state_.MakeReady(connection);
  }
  if (!connection.has_waiting() && state_.Flushed(connection)) {
    state_.tx.Reset(VsockReset::kClosed);
  }
}

GuestPackets::Way GuestPackets::AcceptPayload(Connection& connection,
                                              const PacketHeader& header) {
  if (connection.state != State::kEstablished ||
      (connection.guest_shutdown & kVsockShutdownSend) != 0) {
    Refuse(connection, VsockReset::kProtocol);
    return Way::kNone;
  }
  // "VIRTIO_VSOCK_OP_RW data packets MUST only be transmitted when the peer has
  // sufficient free buffer space for the payload." (§5.10.6.3)
  if (!connection.receive.Receive(header.len)) {
    Refuse(connection, VsockReset::kCredit);
    return Way::kNone;
  }
  const bool end = (header.flags & kVsockSeqEom) != 0;
  if (header.len == 0 && (connection.stream() || !end)) return Way::kNone;
  if (!connection.host_receives()) {
    // The guest will learn, or has learned, that nobody reads it.
    connection.receive.Forward(header.len);
    return Way::kNone;
  }
  if (connection.stream()) {
    return connection.must_wait() ? Way::kWaiting : Way::kDirect;
  }
  if (header.len == 0 && connection.messages.full()) {
    Refuse(connection, VsockReset::kCredit);
    return Way::kNone;
  }
  return end && !connection.must_wait() ? Way::kDirect : Way::kWaiting;
}

void GuestPackets::WritePayload(Connection& connection,
                                const PacketPayload& payload, bool end) {
  PacketPayload left = payload;
  HostIo result = HostIo::kDone;
  do {
    std::array<iovec, kVectors> vectors;
    const size_t count = left.Vectors(absl::MakeSpan(vectors));
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += vectors[i].iov_len;
    if (!connection.stream() && bytes != left.size()) {
      result = HostIo::kAgain;  // A message goes in one piece.
      break;
    }
    size_t sent = 0;
    result =
        SendToHost(connection.socket.get(),
                   absl::MakeConstSpan(vectors.data(), count), bytes, sent);
    left = left.Without(sent);
  } while (!left.empty() && result == HostIo::kDone);
  {
    WakingLock lock(state_);
    connection.wrote = true;
    uint32_t forwarded = static_cast<uint32_t>(payload.size() - left.size());
    if (result == HostIo::kEnd) {
      forwarded = static_cast<uint32_t>(payload.size());
      state_.HostStopsReading(connection);
    } else if (result == HostIo::kFailed &&
               connection.state == State::kEstablished) {
      Refuse(connection, VsockReset::kHost);
    }
    connection.receive.Forward(forwarded);
    if (result != HostIo::kAgain) {
      if (connection.state == State::kEstablished &&
          connection.receive.ReportDue()) {
        state_.MakeReady(connection);
      }
      return state_.Unpin(connection);
    }
  }
  KeepPayload(connection, left, end);
}

bool GuestPackets::MayKeep(Connection& connection, size_t rest) {
  if (connection.state == State::kEstablished && connection.host_receives()) {
    return true;
  }
  connection.receive.Forward(static_cast<uint32_t>(rest));
  return false;
}

void GuestPackets::KeepPayload(Connection& connection,
                               const PacketPayload& payload, bool end) {
  PacketPayload left = payload;
  while (!left.empty()) {
    absl::Span<uint8_t> room;
    {
      WakingLock lock(state_);
      if (!MayKeep(connection, left.size())) break;
      room = connection.waiting.Room(left.size(), state_.segment_bytes);
    }
    left.CopyOut(room);
    left = left.Without(room.size());
    WakingLock lock(state_);
    // The host's program may have stopped reading meanwhile, and what waited
    // for it be gone.
    connection.waiting.CommitRoom(MayKeep(connection, room.size()) ? room.size()
                                                                   : 0);
  }
  WakingLock lock(state_);
  if (connection.state == State::kEstablished) {
    if (connection.host_receives()) {
      if (!connection.stream()) {
        connection.messages.Append(static_cast<uint32_t>(payload.size()), end);
      }
      // The socket may be writable already.
      if (connection.has_waiting()) state_.WatchWrite(connection, true);
    }
    if (connection.receive.ReportDue()) state_.MakeReady(connection);
  }
  state_.Unpin(connection);
}

}  // namespace annulus::virtio
