#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_INL_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_INL_H_

// The functions of vsock_endpoint.h. Included from there only. Citations are of
// virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_endpoint.h"  // IWYU pragma: keep
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Transmit(VsockConnection& connection,
                                                  uint16_t op, uint32_t len,
                                                  uint32_t flags) {
  // "buf_alloc and fwd_cnt [...] MUST be valid in all packets" of a flow
  // (§5.10.6.3).
  Transmit({.dst_cid = connection.key.peer_cid,
            .src_port = connection.key.port,
            .dst_port = connection.key.peer_port,
            .len = len,
            .type = connection.type,
            .op = op,
            .flags = flags,
            .buf_alloc = connection.receive.buf_alloc(),
            .fwd_cnt = connection.receive.Report()});
}

// What is for nobody. A RST is never answered.
template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Refuse(const VsockHeader& header) {
  if (header.op == kVsockOpRst) return;
  Transmit({.dst_cid = header.src_cid,
            .src_port = header.dst_port,
            .dst_port = header.src_port,
            .type = header.type,
            .op = kVsockOpRst});
}

template <typename Driver, typename Application>
bool VsockEndpoint<Driver, Application>::Poll(uint32_t most) {
  uint32_t taken = 0;
  VsockPacket packet;
  for (; taken < most; ++taken) {
    transmitter_.Reclaim();
    if (transmitter_.free_packets() < kForAnswers ||
        !receiver_.GetPacket(packet)) {
      break;
    }
    Take(packet);
    receiver_.Release(packet);
  }
  receiver_.Post();
  SendReports();
  return taken != 0;
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Take(const VsockPacket& packet) {
  const VsockHeader& header = packet.header;
  if (header.dst_cid != config_.cid) return;  // A device does not send that.
  const VsockKey key = {.peer_cid = header.src_cid,
                        .peer_port = header.src_port,
                        .port = header.dst_port};
  VsockConnection* const connection = table_.Find(key);
  if (connection == nullptr) {
    if (header.op == kVsockOpRequest) return TakeRequest(header, key);
    return Refuse(header);
  }
  if (header.op == kVsockOpRst) return Close(*connection);
  if (header.type != connection->type) return CloseWithReset(*connection);
  connection->send.Update(header.buf_alloc, header.fwd_cnt);
  if (connection->state == State::kConnecting) {
    // Nothing may come before the RESPONSE.
    if (header.op != kVsockOpResponse) return CloseWithReset(*connection);
    connection->state = State::kConnected;
    return application_.Connected(*connection);
  }
  TakeConnected(*connection, packet);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::TakeRequest(const VsockHeader& header,
                                                     const VsockKey& key) {
  const bool known_type =
      header.type == kVsockTypeStream || header.type == kVsockTypeSeqpacket;
  VsockConnection* const connection =
      known_type && application_.Accepts(header) ? table_.Add(key) : nullptr;
  if (connection == nullptr) return Refuse(header);
  connection->type = header.type;
  connection->state = State::kConnected;
  connection->send = VsockSendCredit(config_.buf_alloc);
  connection->send.Update(header.buf_alloc, header.fwd_cnt);
  connection->receive = VsockReceiveCredit(config_.buf_alloc);
  Transmit(*connection, kVsockOpResponse, 0, 0);
  application_.Connected(*connection);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::TakeConnected(
    VsockConnection& connection, const VsockPacket& packet) {
  switch (packet.header.op) {
    case kVsockOpRw:
      TakeData(connection, packet);
      break;
    case kVsockOpCreditUpdate:
      break;
    case kVsockOpCreditRequest:
      // "the peer [...] MUST" answer with a CREDIT_UPDATE, even one that has
      // nothing new in it.
      Transmit(connection, kVsockOpCreditUpdate, 0, 0);
      break;
    case kVsockOpShutdown:
      return TakeShutdown(connection, packet.header.flags);
    default:
      return CloseWithReset(connection);
  }
  if (connection.state == State::kConnected && connection.wants_credit &&
      connection.send.Free() != 0) {
    connection.wants_credit = false;
    application_.Credit(connection);
  }
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::TakeData(VsockConnection& connection,
                                                  const VsockPacket& packet) {
  const VsockHeader& header = packet.header;
  if (!connection.receive.Received(header.len)) {
    return CloseWithReset(connection);
  }
  if ((connection.shutdown & kVsockShutdownReceive) != 0) {
    // It was on its way: nobody wants it any more.
    return connection.receive.Forward(header.len);
  }
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const VsockPart& part = packet.parts[i];
    if (part.bytes != 0) application_.Data(connection, part.data, part.bytes);
  }
  if (connection.type == kVsockTypeSeqpacket &&
      (header.flags & kVsockSeqEom) != 0) {
    connection.message_ended = true;
    NoteReport(connection);
  }
  application_.Received(connection, header);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::TakeShutdown(
    VsockConnection& connection, uint32_t flags) {
  connection.peer_shutdown |= flags & kVsockShutdownBoth;
  application_.Shutdown(connection);
  // "a clean disconnect is achieved by one or more SHUTDOWN packets that
  // indicate that no more data will be sent and received, followed by a RST
  // from the peer" (§5.10.6.6). All data was handed over before.
  if (connection.peer_shutdown == kVsockShutdownBoth) {
    CloseWithReset(connection);
  }
}

template <typename Driver, typename Application>
VsockConnection* VsockEndpoint<Driver, Application>::Connect(uint16_t type,
                                                             uint64_t cid,
                                                             uint32_t port) {
  transmitter_.Reclaim();
  if (transmitter_.free_packets() < kForControl) return nullptr;
  VsockKey key = {.peer_cid = cid, .peer_port = port, .port = next_port_};
  while (table_.Find(key) != nullptr) ++key.port;  // There are fewer than 2^32.
  VsockConnection* const connection = table_.Add(key);
  if (connection == nullptr) return nullptr;
  next_port_ =
      key.port + 1 < config_.first_port ? config_.first_port : key.port + 1;
  connection->type = type;
  connection->state = State::kConnecting;
  connection->send = VsockSendCredit(config_.buf_alloc);
  connection->receive = VsockReceiveCredit(config_.buf_alloc);
  Transmit(*connection, kVsockOpRequest, 0, 0);
  return connection;
}

template <typename Driver, typename Application>
uint8_t* VsockEndpoint<Driver, Application>::Room(VsockConnection& connection,
                                                  uint32_t wanted,
                                                  uint32_t* bytes) {
  *bytes = 0;
  connection.wants_credit = false;
  if (connection.state != State::kConnected ||
      (connection.shutdown & kVsockShutdownSend) != 0 ||
      (connection.peer_shutdown & kVsockShutdownReceive) != 0) {
    return nullptr;
  }
  uint8_t* const room = transmitter_.Room();
  if (transmitter_.free_packets() <= kForControl) return nullptr;
  const uint32_t credit = connection.send.Free();
  connection.wants_credit = credit < wanted;
  uint32_t most = transmitter_.room_bytes();
  if (credit < most) most = credit;
  *bytes = wanted < most ? wanted : most;
  return *bytes != 0 || wanted == 0 ? room : nullptr;
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Send(VsockConnection& connection,
                                              uint32_t bytes, uint32_t flags) {
  connection.send.Sent(bytes);
  Transmit(connection, kVsockOpRw, bytes, flags);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Consumed(VsockConnection& connection,
                                                  uint32_t bytes) {
  connection.receive.Forward(bytes);
  NoteReport(connection);
}

template <typename Driver, typename Application>
bool VsockEndpoint<Driver, Application>::Shutdown(VsockConnection& connection,
                                                  uint32_t flags) {
  flags |= connection.shutdown;
  if (connection.state != State::kConnected ||
      !Control(connection, kVsockOpShutdown, flags)) {
    return false;
  }
  connection.shutdown = flags;
  if (flags == kVsockShutdownBoth) connection.state = State::kClosing;
  return true;
}

template <typename Driver, typename Application>
bool VsockEndpoint<Driver, Application>::Abort(VsockConnection& connection) {
  if (!Control(connection, kVsockOpRst)) return false;
  Remove(connection);
  return true;
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Close(VsockConnection& connection) {
  application_.Closed(connection);
  Remove(connection);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::Remove(VsockConnection& connection) {
  if (connection.report) {
    const uint32_t number = table_.NumberOf(connection);
    uint32_t* link = &reports_;
    while (*link != number) link = &table_.at(*link).next_report;
    *link = connection.next_report;
  }
  table_.Remove(connection);
}

template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::NoteReport(
    VsockConnection& connection) {
  if (connection.report) return;
  connection.report = true;
  connection.next_report = reports_;
  reports_ = table_.NumberOf(connection);
}

// Tells peers of the credit that they have, as far as it is due.
template <typename Driver, typename Application>
void VsockEndpoint<Driver, Application>::SendReports() {
  while (reports_ != VsockConnectionTable::kNone) {
    VsockConnection& connection = table_.at(reports_);
    const bool due = connection.state == State::kConnected &&
                     (connection.receive.NearlySpent() ||
                      connection.receive.Drained() || connection.message_ended);
    if (due) {
      transmitter_.Reclaim();
      if (transmitter_.free_packets() < kForControl) return;
    }
    reports_ = connection.next_report;
    connection.report = connection.message_ended = false;
    if (due) Transmit(connection, kVsockOpCreditUpdate, 0, 0);
  }
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_INL_H_
