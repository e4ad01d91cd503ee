#include "devices/virtio/vsock/connection/guest_sender.h"

#include <sys/uio.h>

#include <algorithm>
#include <limits>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/host_socket.h"

namespace annulus::virtio {
namespace {

using State = Connection::State;

// So many turns, and so many bytes in each and altogether, before others get
// theirs and the guest is told.
constexpr size_t kTurns = 64;
constexpr uint32_t kQuantumBytes = 128 * 1024;
constexpr uint64_t kDeliveryBytes = 512 * 1024;
constexpr int kMessages = 64;  // Per turn.
// Buffers are taken out of the virtqueue for what may be read: few, unless
// the last time there was that much.
constexpr uint32_t kLeastReadBytes = 8 * 1024;

size_t Size(absl::Span<const iovec> vectors) {
  size_t size = 0;
  for (const iovec& vector : vectors) size += vector.iov_len;
  return size;
}

}  // namespace

Muxer::Delivered GuestSender::Deliver(PacketSink& sink) {
  size_t turns = 0;
  {
    MutexLock lock(state_.mu);
    if (!SendReplies(sink)) return Muxer::Delivered::kNoRoom;
    turns = std::min(state_.ready.size(), kTurns);
  }
  uint64_t bytes = 0;
  for (; turns != 0 && bytes < kDeliveryBytes; --turns) {
    turn_bytes_ = 0;
    if (!Turn(sink)) return Muxer::Delivered::kNoRoom;
    bytes += turn_bytes_;
  }
  MutexLock lock(state_.mu);
  return state_.ready.empty() ? Muxer::Delivered::kAll
                              : Muxer::Delivered::kMore;
}

bool GuestSender::SendReplies(PacketSink& sink) {
  while (!state_.replies.empty()) {
    if (!sink.Put(state_.replies.Front())) return false;
    state_.replies.Pop();
  }
  return true;
}

bool GuestSender::Turn(PacketSink& sink) {
  Connection* connection = nullptr;
  Budget budget;
  {
    MutexLock lock(state_.mu);
    connection = state_.ready.PopFront();
    if (connection == nullptr) return true;
    state_.Pin(*connection);
    if (!SendPending(*connection, sink)) {
      state_.ready.PushFront(*connection);
      state_.Unpin(*connection);
      return false;
    }
    if (connection->state == State::kEstablished) {
      if (connection->by_host && !connection->announced) {
        connection->announced = true;
        state_.rx.connections.Add(1);
      }
      budget = Plan(*connection);
    }
    if (budget.bytes == 0) return EndTurn(*connection, sink);
  }
  const Read read = connection->stream()
                        ? ReadStream(*connection, sink, budget)
                        : ReadMessages(*connection, sink, budget);
  MutexLock lock(state_.mu);
  if (connection->state == State::kEstablished) {
    switch (read) {
      case Read::kEnd:
        HostStopsSending(*connection);
        break;
      case Read::kFailed:
        state_.rx.Reset(VsockReset::kHost);
        state_.Reset(*connection);
        break;
      case Read::kEmpty:
        connection->readable = false;
        break;
      case Read::kMore:
        state_.ready.PushBack(*connection);
        break;
      case Read::kStalled:
        Stall(*connection, budget);
        break;
      case Read::kNoRoom:
        // Who has had a part of its turn goes behind the others.
        if (turn_bytes_ != 0) {
          state_.ready.PushBack(*connection);
        } else {
          state_.ready.PushFront(*connection);
        }
        state_.Unpin(*connection);
        return false;
    }
  }
  return EndTurn(*connection, sink);
}

bool GuestSender::EndTurn(Connection& connection, PacketSink& sink) {
  const bool sent =
      connection.state != State::kEstablished ||
      (SendPending(connection, sink) && SendCreditUpdate(connection, sink));
  if (!sent) state_.ready.PushFront(connection);
  state_.Unpin(connection);
  return sent;
}

bool GuestSender::SendPending(Connection& connection, PacketSink& sink) {
  const auto put = [&](uint8_t bit, uint16_t op, uint32_t flags = 0)
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu) {
                         PacketHeader header = state_.HeaderFor(connection, op);
                         header.flags = flags;
                         if (!sink.Put(header)) return false;
                         connection.receive.Report(header.fwd_cnt);
                         connection.pending &= static_cast<uint8_t>(~bit);
                         return true;
                       };
  if (connection.pending == 0) return true;
  if ((connection.pending & kPendingReset) != 0) {
    if (!put(kPendingReset, kVsockOpRst)) return false;
    state_.Drop(connection);
    return true;
  }
  if ((connection.pending & kPendingRequest) != 0) {
    if (!put(kPendingRequest, kVsockOpRequest)) return false;
    if (!connection.offered) {
      connection.offered = true;
      connection.offered_ns = now_ns_;
      connection.expires_ns =
          now_ns_ + absl::ToInt64Nanoseconds(state_.options.connect_wait);
      state_.SetDeadline(connection);
    }
  }
  // Before a RESPONSE, a guest takes any other packet for an error.
  if (connection.state != State::kEstablished) return true;
  if ((connection.pending & kPendingResponse) != 0 &&
      !put(kPendingResponse, kVsockOpResponse)) {
    return false;
  }
  if ((connection.pending & kPendingCreditUpdate) != 0 &&
      !put(kPendingCreditUpdate, kVsockOpCreditUpdate)) {
    return false;
  }
  if ((connection.pending & kPendingCreditRequest) != 0) {
    if (!put(kPendingCreditRequest, kVsockOpCreditRequest)) return false;
    ++connection.credit_requests;
  }
  if ((connection.pending & kPendingShutdown) != 0) {
    if (!put(kPendingShutdown, kVsockOpShutdown, connection.host_shutdown)) {
      return false;
    }
    connection.sent_shutdown = connection.host_shutdown;
    if (connection.sent_shutdown == kVsockShutdownBoth) {
      connection.expires_ns =
          now_ns_ + absl::ToInt64Nanoseconds(state_.options.close_wait);
      state_.SetDeadline(connection);
    }
  }
  return true;
}

bool GuestSender::SendCreditUpdate(Connection& connection, PacketSink& sink) {
  if (!connection.receive.ReportDue() ||
      (connection.guest_shutdown & kVsockShutdownSend) != 0) {
    return true;
  }
  const PacketHeader header =
      state_.HeaderFor(connection, kVsockOpCreditUpdate);
  if (!sink.Put(header)) return false;
  connection.receive.Report(header.fwd_cnt);
  return true;
}

GuestSender::Budget GuestSender::Plan(Connection& connection) {
  if (!connection.host_sends()) {
    // A second look: shut down for writing first, and closed now.
    if (connection.hung_up && connection.host_receives()) {
      HostStopsSending(connection);
    }
    return {};
  }
  if (!connection.guest_receives()) {
    if (connection.hung_up) HostStopsSending(connection);
    return {};
  }
  if (!connection.readable && connection.stash.empty()) return {};
  connection.meter.Forward(connection.send.forwarded(),
                           connection.messages_read);
  const uint32_t buf_alloc = connection.send.buf_alloc();
  Budget budget = {.bytes = connection.send.free(),
                   .packets = connection.meter.free(buf_alloc),
                   .buf_alloc = buf_alloc};
  // A message that was begun goes on: the guest cannot read a part of it.
  if (!connection.stash.empty()) budget.packets = std::max(budget.packets, 1u);
  if (budget.bytes != 0 && budget.packets != 0) return budget;
  Stall(connection, budget);
  return {};
}

void GuestSender::Stall(Connection& connection, const Budget& budget) {
  connection.meter.Forward(connection.send.forwarded(),
                           connection.messages_read);
  if (connection.send.free() > budget.bytes ||
      connection.meter.free(connection.send.buf_alloc()) > budget.packets) {
    return state_.ready.PushBack(connection);
  }
  if (connection.stalled) return;
  connection.stalled = true;
  connection.awaits_reader = connection.meter.has_empty();
  state_.rx.credit_stalls.Add(1);
  connection.pending |= kPendingCreditRequest;
  connection.tick_ns =
      std::min(connection.tick_ns, now_ns_ + MuxerState::kAskForCreditAgainNs);
  state_.SetDeadline(connection);
}

void GuestSender::HostStopsSending(Connection& connection) {
  connection.readable = false;
  const bool closed = connection.hung_up || HostHungUp(connection.socket.get());
  connection.host_shutdown |= closed ? kVsockShutdownBoth : kVsockShutdownSend;
  if (connection.host_shutdown != connection.sent_shutdown) {
    connection.pending |= kPendingShutdown;
  }
}

bool GuestSender::Count(Connection& connection, uint32_t bytes,
                        PacketHeader& header) {
  MutexLock lock(state_.mu);
  if (connection.state != State::kEstablished) return false;
  connection.send.Send(bytes);
  header = state_.HeaderFor(connection, kVsockOpRw);
  connection.receive.Report(header.fwd_cnt);
  turn_bytes_ += bytes;
  return true;
}

PacketHeader GuestSender::HeaderFor(const Connection& connection,
                                    uint32_t flags) {
  MutexLock lock(state_.mu);
  PacketHeader header = state_.HeaderFor(connection, kVsockOpRw);
  header.flags = flags;
  return header;
}

void GuestSender::CountSent(Connection& connection, uint32_t bytes,
                            const PacketHeader& header) {
  MutexLock lock(state_.mu);
  connection.send.Send(bytes);
  connection.receive.Report(header.fwd_cnt);
  turn_bytes_ += bytes;
}

GuestSender::Read GuestSender::ReadStream(Connection& connection,
                                          PacketSink& sink, Budget budget) {
  uint32_t& read_bytes = connection.read_bytes;
  read_bytes = std::max(read_bytes, kLeastReadBytes);
  budget.bytes = std::min(budget.bytes, kQuantumBytes);
  while (budget.bytes != 0 && budget.packets != 0) {
    const absl::Span<const iovec> room =
        sink.Room(std::min(budget.bytes, read_bytes), budget.packets);
    if (room.empty()) return Read::kNoRoom;
    size_t received = 0;
    switch (ReceiveFromHost(connection.socket.get(), room, received)) {
      case HostIo::kDone:
        break;
      case HostIo::kAgain:
        return Read::kEmpty;
      case HostIo::kEnd:
        return Read::kEnd;
      case HostIo::kFailed:
        return Read::kFailed;
    }
    const auto bytes = static_cast<uint32_t>(received);
    PacketHeader header;
    if (!Count(connection, bytes, header)) return Read::kEmpty;
    const uint32_t packets = sink.Commit(header, bytes);
    connection.meter.Send(packets, connection.send.sent(), budget.buf_alloc);
    budget.bytes -= bytes;
    budget.packets -= std::min(budget.packets, packets);
    if (received != Size(room)) {
      // Probably empty now. But the guest is not to wait for the proof.
      read_bytes = std::max(read_bytes / 2, kLeastReadBytes);
      return Read::kMore;
    }
    read_bytes = std::min(read_bytes * 4, kQuantumBytes);
  }
  return Read::kMore;
}

GuestSender::Read GuestSender::ReadMessages(Connection& connection,
                                            PacketSink& sink, Budget& budget) {
  for (int i = 0; i < kMessages && turn_bytes_ < kQuantumBytes; ++i) {
    Read read = Read::kMore;
    if (!connection.stash.empty()) {
      read = SendStash(connection, sink, budget);
    } else {
      size_t size = 0;
      switch (PeekMessage(connection.socket.get(), size)) {
        case HostIo::kDone:
          break;
        case HostIo::kAgain:
          return Read::kEmpty;
        case HostIo::kEnd:
          return Read::kEnd;
        case HostIo::kFailed:
          return Read::kFailed;
      }
      // A message that is larger than the guest's buffer can never be sent. One
      // that is larger than what is free waits: a guest gets whole messages, so
      // nothing would be gained by sending it half of one.
      if (size > budget.buf_alloc) return Read::kFailed;
      if (size > budget.bytes || budget.packets == 0) return Read::kStalled;
      read = size == 0 ? SendEmptyMessage(connection, sink, budget)
                       : ReadMessage(connection, sink, size, budget);
    }
    if (read != Read::kMore) return read;
  }
  return Read::kMore;
}

GuestSender::Read GuestSender::SendEmptyMessage(Connection& connection,
                                                PacketSink& sink,
                                                Budget& budget) {
  const PacketHeader header = HeaderFor(connection, kVsockSeqEom);
  if (!sink.Put(header)) return Read::kNoRoom;
  CountSent(connection, 0, header);
  connection.meter.SendEmpty();
  --budget.packets;
  SkipMessage(connection.socket.get());
  return Read::kMore;
}

GuestSender::Read GuestSender::ReadMessage(Connection& connection,
                                           PacketSink& sink, size_t size,
                                           Budget& budget) {
  const absl::Span<const iovec> room = sink.Room(size, budget.packets);
  if (room.empty()) return Read::kNoRoom;
  const bool fits = Size(room) == size;
  // It would take more packets than may wait: later, unless it always would.
  const size_t packets_needed = (size - 1) / room[0].iov_len + 1;
  if (!fits && packets_needed > budget.packets &&
      connection.meter.waiting() != 0) {
    return Read::kStalled;
  }
  size_t received = 0;
  if (!fits) {
    const absl::Span<uint8_t> stash = connection.stash.Room(size);
    const iovec vector = {stash.data(), stash.size()};
    const HostIo result = ReceiveFromHost(
        connection.socket.get(), absl::MakeConstSpan(&vector, 1), received);
    return result == HostIo::kDone && received == size ? Read::kMore
                                                       : Read::kFailed;
  }
  if (ReceiveFromHost(connection.socket.get(), room, received) !=
          HostIo::kDone ||
      received != size) {
    return Read::kFailed;
  }
  const auto bytes = static_cast<uint32_t>(size);
  PacketHeader header;
  if (!Count(connection, bytes, header)) return Read::kEmpty;
  header.flags = kVsockSeqEom;
  const uint32_t packets = sink.Commit(header, bytes);
  connection.meter.Send(packets, connection.send.sent(), budget.buf_alloc);
  budget.bytes -= bytes;
  budget.packets -= std::min(budget.packets, packets);
  return Read::kMore;
}

GuestSender::Read GuestSender::SendStash(Connection& connection,
                                         PacketSink& sink, Budget& budget) {
  const absl::Span<const uint8_t> left = connection.stash.left();
  // The guest may have made its buffer smaller since the message was begun.
  const absl::Span<const uint8_t> piece =
      left.first(std::min<size_t>(left.size(), budget.bytes));
  if (piece.empty()) return Read::kStalled;
  const PacketHeader header =
      HeaderFor(connection, piece.size() == left.size() ? kVsockSeqEom : 0);
  uint32_t packets = 0;
  // However many packets it takes: the guest cannot read a part of it.
  const auto bytes = static_cast<uint32_t>(
      sink.Put(header, piece, std::numeric_limits<uint32_t>::max(), packets));
  if (bytes == 0) return Read::kNoRoom;
  CountSent(connection, bytes, header);
  connection.meter.Send(packets, connection.send.sent(), budget.buf_alloc);
  budget.bytes -= bytes;
  budget.packets -= std::min(budget.packets, packets);
  connection.stash.Send(bytes);
  return bytes == piece.size() ? Read::kMore : Read::kNoRoom;
}

}  // namespace annulus::virtio
