#include "devices/virtio/vsock/switch/attached_port.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

// How many packets a batch has, for which the inbox is locked once, and how
// many batches one call delivers.
constexpr size_t kBatch = 32;
constexpr int kBatchesPerCall = 8;

// Packets of the payload that is left. False: not all of it found room.
bool Put(PacketSink& sink, SwitchedPacket& packet) {
  if (packet.size == 0) return sink.Put(packet.header);
  uint32_t packets = 0;
  packet.delivered += static_cast<uint32_t>(
      sink.Put(packet.header, packet.rest(),
               std::numeric_limits<uint32_t>::max(), packets));
  return packet.delivered == packet.size;
}

// A datagram is one packet or none. True: it is settled, delivered or not.
bool PutDatagram(PacketSink& sink, SwitchedPacket& packet) {
  if (packet.size == 0) return sink.Put(packet.header);
  const absl::Span<const iovec> room = sink.Room(packet.size, 1);
  if (room.empty()) return false;
  uint64_t bytes = 0;
  for (const iovec& vector : room) bytes += vector.iov_len;
  if (bytes < packet.size) return true;  // Larger than the guest's buffers.
  uint32_t packets = 0;
  packet.delivered +=
      static_cast<uint32_t>(sink.Put(packet.header, packet.rest(), 1, packets));
  return true;
}

// Delivers what `inbox`, an Exchange() of packets, has for the guest, in
// batches. False: the sink has no room. `freed` says whether there is more
// room in the inbox now.
template <typename Inbox, typename PutOne>
bool DeliverBatches(Inbox& inbox, std::vector<SwitchedPacket>& batch,
                    PutOne put, bool& freed) {
  freed = true;
  inbox.doorbell().Silence();
  size_t delivered = 0;
  for (int i = 0; i < kBatchesPerCall; ++i) {
    const bool more = inbox.Exchange(batch, delivered, kBatch);
    if (batch.empty()) {
      if (more) inbox.doorbell().Ring();
      return true;
    }
    for (delivered = 0; delivered < batch.size(); ++delivered) {
      if (!put(batch[delivered])) break;
      batch[delivered].payload.reset();  // Now, for Exchange() holds a lock.
    }
    if (delivered < batch.size()) {
      inbox.Exchange(batch, delivered, 0);
      freed = delivered != 0 || i != 0;
      return false;
    }
  }
  // At its bound: it is called again because there may be more.
  if (inbox.Exchange(batch, delivered, 0)) inbox.doorbell().Ring();
  return true;
}

}  // namespace

AttachedPort::AttachedPort(std::shared_ptr<SwitchMembers> members,
                           std::shared_ptr<SwitchMember> member,
                           std::unique_ptr<ProcessLinks> links)
    : members_(std::move(members)),
      member_(std::move(member)),
      self_(member_->endpoint),
      links_(std::move(links)),
      peers_(*members_),
      datagram_peers_(*members_) {
  batch_.reserve(kBatch);
  datagram_batch_.reserve(kBatch);
}

AttachedPort::~AttachedPort() {
  Reset();
  members_->Leave(self_.cid());
}

void AttachedPort::Start() {
  self_.Open();
  member_->datagrams.Open();
}

void AttachedPort::Reset() {
  // By the loss of the links other processes learn of it.
  if (links_ != nullptr) links_->CloseAll();
  member_->datagrams.Close();
  for (const auto& [key, connection] : self_.Close()) {
    SwitchMember* const peer = peers_.Find(key.peer_cid);
    if (peer == nullptr) continue;
    SwitchedPacket reset;
    reset.header = {.src_cid = self_.cid(),
                    .dst_cid = key.peer_cid,
                    .src_port = key.own_port,
                    .dst_port = key.peer_port,
                    .type = key.type,
                    .op = kVsockOpRst};
    reset.serial = connection.serial;
    peer->endpoint.Arrive(reset);
  }
}

bool AttachedPort::Send(const PacketHeader& header,
                        const PacketPayload& payload, VsockReset& reason) {
  ANNULUS_DCHECK(header.src_cid == self_.cid());
  ANNULUS_DCHECK(header.dst_cid != kVsockHostCid);
  if (header.type != kVsockTypeStream && header.type != kVsockTypeSeqpacket) {
    reason = VsockReset::kType;
    return header.op == kVsockOpRst;
  }
  if (header.op == kVsockOpInvalid || header.op > kVsockOpCreditRequest ||
      (header.op == kVsockOpRw && header.len > self_.max_bytes())) {
    // As if it had ended the connection; and then it is told so as well.
    PacketHeader reset = header;
    reset.op = kVsockOpRst;
    Send(reset, PacketPayload(), reason);
    reason = VsockReset::kProtocol;
    return false;
  }
  const SwitchEndpoint::Departure departure =
      self_.Depart(header, members_->NextSerial());
  switch (departure.verdict) {
    case SwitchEndpoint::Departure::Verdict::kDrop:
      return true;
    case SwitchEndpoint::Departure::Verdict::kUnknown:
      reason = VsockReset::kUnknown;
      return false;
    case SwitchEndpoint::Departure::Verdict::kLimit:
      reason = VsockReset::kLimit;
      return false;
    case SwitchEndpoint::Departure::Verdict::kForward:
      break;
  }
  return Forward(header, payload, departure.connection, reason) ||
         header.op == kVsockOpRst ||
         !self_.Abandon(KeyOfSender(header), departure.connection.serial);
}

bool AttachedPort::Forward(const PacketHeader& header,
                           const PacketPayload& payload,
                           const SwitchConnection& connection,
                           VsockReset& reason) {
  reason = VsockReset::kUnreachable;
  // Nobody gets to himself by the switch.
  if (header.dst_cid == self_.cid()) return false;
  // Only RW has payload.
  const PacketPayload data =
      header.op == kVsockOpRw ? payload : PacketPayload();
  SwitchMember* const peer = peers_.Find(header.dst_cid);
  if (peer == nullptr) {
    return links_ != nullptr && links_->Send(header, data, connection);
  }
  SwitchedPacket packet = CopyPacket(header, data, connection.serial);
  packet.header.len = 0;  // The sink sets it.
  switch (peer->endpoint.Arrive(packet)) {
    case SwitchEndpoint::Arrival::kTaken:
      return true;
    case SwitchEndpoint::Arrival::kLimit:
      reason = VsockReset::kLimit;
      return false;
    case SwitchEndpoint::Arrival::kUnknown:
    case SwitchEndpoint::Arrival::kFull:
    case SwitchEndpoint::Arrival::kClosed:
      return false;
  }
  return false;
}

bool AttachedPort::SendDatagram(const PacketHeader& header,
                                const PacketPayload& payload) {
  ANNULUS_DCHECK(header.src_cid == self_.cid());
  ANNULUS_DCHECK(payload.size() == header.len);
  if (header.type != kVsockTypeDgram || header.op != kVsockOpRw ||
      payload.size() > DatagramInbox::kMaxBytes ||
      header.dst_cid == self_.cid()) {
    return false;
  }
  SwitchMember* const peer = datagram_peers_.Find(header.dst_cid);
  if (peer == nullptr) {
    return links_ != nullptr && links_->SendDatagram(header, payload);
  }
  SwitchedPacket packet = CopyPacket(header, payload, /*serial=*/0);
  packet.header.len = 0;  // The sink sets it.
  return peer->datagrams.Arrive(std::move(packet));
}

bool AttachedPort::Deliver(PacketSink& sink) {
  bool freed;
  const bool done = DeliverBatches(
      self_, batch_,
      [&sink](SwitchedPacket& packet) { return Put(sink, packet); }, freed);
  if (freed && links_ != nullptr) links_->Resume();
  return done;
}

bool AttachedPort::DeliverDatagrams(PacketSink& sink) {
  bool freed;
  return DeliverBatches(
      member_->datagrams, datagram_batch_,
      [&sink](SwitchedPacket& packet) { return PutDatagram(sink, packet); },
      freed);
}

}  // namespace annulus::virtio
