#include "devices/virtio/vsock/switch/switch_endpoint.h"

#include <utility>

#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

using State = SwitchConnection::State;
using Verdict = SwitchEndpoint::Departure::Verdict;

// How many packets that nobody wants any more one Exchange() skips for each
// that it may take.
constexpr size_t kSkippedPerTaken = 8;

}  // namespace

SwitchEndpoint::SwitchEndpoint(uint64_t cid, uint32_t max_connections,
                               uint64_t max_bytes, EventFd event)
    : cid_(cid),
      max_bytes_(max_bytes),
      doorbell_(std::move(event)),
      table_(max_connections),
      inbox_(max_bytes) {}

void SwitchEndpoint::Open() {
  MutexLock lock(mu_);
  open_ = true;
}

SwitchEndpoint::Connections SwitchEndpoint::Close() {
  Connections connections;
  MutexLock lock(mu_);
  open_ = false;
  table_.ForEach(
      [&connections](const SwitchKey& key, const SwitchConnection& connection) {
        if (connection.state < State::kReset) {
          connections.emplace_back(key, connection);
        }
      });
  table_.Clear();
  inbox_.Clear();
  return connections;
}

SwitchEndpoint::Departure SwitchEndpoint::Depart(const PacketHeader& header,
                                                 uint64_t serial) {
  const SwitchKey key = KeyOfSender(header);
  const bool reset = header.op == kVsockOpRst;
  MutexLock lock(mu_);
  if (header.op == kVsockOpRequest) {
    // It replaces what the guest had, or is still to learn of, for that key.
    table_.Forget(key, /*but_newest=*/false);
    if (!table_.AdmitsOutgoing()) return {.verdict = Verdict::kLimit};
    const SwitchConnection connection = {
        .serial = serial, .state = State::kRequesting, .outgoing = true};
    table_.Add(key, connection);
    return {.verdict = Verdict::kForward, .connection = connection};
  }
  const SwitchConnection* const newest = table_.Newest(key);
  if (newest == nullptr) {
    return {.verdict = reset ? Verdict::kDrop : Verdict::kUnknown};
  }
  switch (newest->state) {
    case State::kRequested:  // So it means an older one.
      if (reset) table_.Forget(key, /*but_newest=*/true);
      return {.verdict = Verdict::kDrop};
    case State::kReset:
    case State::kForgotten:
      if (reset) table_.Forget(key, /*but_newest=*/false);
      return {.verdict = Verdict::kDrop};
    case State::kRequesting:
    case State::kOpen:
      break;
  }
  const SwitchConnection connection = *newest;
  if (reset) table_.Remove(key, connection.serial);
  return {.verdict = Verdict::kForward, .connection = connection};
}

bool SwitchEndpoint::Abandon(const SwitchKey& key, uint64_t serial) {
  MutexLock lock(mu_);
  const SwitchConnection* const connection = table_.Find(key, serial);
  if (connection == nullptr || connection->state >= State::kReset) return false;
  table_.Remove(key, serial);
  return true;
}

void SwitchEndpoint::End(const SwitchKey& key, SwitchConnection& connection) {
  connection.state = State::kReset;
  // It costs nothing, for it finds room in any case: there are at most as many
  // as connections.
  inbox_.Push({.header = {.src_cid = key.peer_cid,
                          .dst_cid = cid_,
                          .src_port = key.peer_port,
                          .dst_port = key.own_port,
                          .type = key.type,
                          .op = kVsockOpRst},
               .serial = connection.serial});
}

SwitchEndpoint::Arrival SwitchEndpoint::RequestArrives(const SwitchKey& key,
                                                       SwitchedPacket& packet,
                                                       uint64_t link) {
  if (table_.Find(key, packet.serial) != nullptr) return Arrival::kUnknown;
  // The other guest begins anew, and so the earlier connection is over.
  SwitchConnection* const newest = table_.Newest(key);
  if (newest != nullptr && newest->state != State::kReset) End(key, *newest);
  if (!table_.AdmitsIncoming(key.peer_cid)) return Arrival::kLimit;
  if (!inbox_.Admits(key.peer_cid, packet.cost)) return Arrival::kFull;
  table_.Add(key, {.serial = packet.serial,
                   .state = State::kRequested,
                   .outgoing = false,
                   .in_link = link});
  inbox_.Push(std::move(packet));
  return Arrival::kTaken;
}

SwitchEndpoint::Arrival SwitchEndpoint::ArriveLocked(SwitchedPacket& packet,
                                                     uint64_t link) {
  if (!open_) return Arrival::kClosed;
  const SwitchKey key = KeyOfReceiver(packet.header);
  if (packet.header.op == kVsockOpRequest) {
    return RequestArrives(key, packet, link);
  }
  SwitchConnection* const newest = table_.Newest(key);
  if (newest == nullptr || newest->state == State::kReset) {
    return Arrival::kUnknown;
  }
  // One without any link is with a guest of this process.
  const bool first = newest->in_link == 0 && newest->out_link != 0;
  if (newest->serial != packet.serial || (newest->in_link != link && !first)) {
    return Arrival::kUnknown;
  }
  newest->in_link = link;
  if (packet.header.op == kVsockOpRst) {
    End(key, *newest);
    return Arrival::kTaken;
  }
  const bool requesting = newest->state == State::kRequesting;
  // Anything else is of a connection before this one, and would make a guest
  // believe that its REQUEST failed.
  if (requesting && packet.header.op != kVsockOpResponse) {
    return Arrival::kTaken;
  }
  if (!inbox_.Admits(key.peer_cid, packet.cost)) {
    if (link == 0) End(key, *newest);
    return Arrival::kFull;
  }
  if (requesting) newest->state = State::kOpen;
  inbox_.Push(std::move(packet));
  return Arrival::kTaken;
}

bool SwitchEndpoint::BindOutLink(const SwitchKey& key, uint64_t serial,
                                 uint64_t link) {
  MutexLock lock(mu_);
  SwitchConnection* const connection = table_.Find(key, serial);
  if (connection == nullptr || connection->state >= State::kReset) return false;
  connection->out_link = link;
  return true;
}

void SwitchEndpoint::EndLink(uint64_t link) {
  bool wake = false;
  {
    MutexLock lock(mu_);
    const bool was_empty = inbox_.empty();
    std::vector<std::pair<SwitchKey, SwitchConnection*>> over;
    table_.ForEach(
        [&over, link](const SwitchKey& key, SwitchConnection& connection) {
          if (connection.state < State::kReset &&
              (connection.in_link == link || connection.out_link == link)) {
            over.emplace_back(key, &connection);
          }
        });
    for (const auto& [key, connection] : over) End(key, *connection);
    wake = was_empty && !inbox_.empty();
  }
  if (wake) doorbell_.Ring();
}

SwitchEndpoint::Arrival SwitchEndpoint::Arrive(SwitchedPacket& packet,
                                               uint64_t link) {
  bool wake = false;
  Arrival arrival;
  {
    MutexLock lock(mu_);
    const bool was_empty = inbox_.empty();
    arrival = ArriveLocked(packet, link);
    wake = was_empty && !inbox_.empty();
  }
  if (wake) doorbell_.Ring();
  return arrival;
}

void SwitchEndpoint::PutBack(SwitchedPacket packet) {
  if (packet.header.op == kVsockOpRequest) {
    SwitchConnection* const connection =
        table_.Find(KeyOfReceiver(packet.header), packet.serial);
    if (connection != nullptr && connection->state == State::kOpen) {
      connection->state = State::kRequested;
    }
  }
  inbox_.PushFront(std::move(packet));
}

bool SwitchEndpoint::Exchange(std::vector<SwitchedPacket>& batch,
                              size_t delivered, size_t most) {
  // Buffers are freed without the lock: the batch is cleared before, or after.
  MutexLock lock(mu_);
  for (size_t i = 0; i < delivered; ++i) {
    inbox_.Settle(batch[i]);
    if (batch[i].header.op == kVsockOpRst) {
      table_.Remove(KeyOfReceiver(batch[i].header), batch[i].serial);
    }
  }
  const bool rest = delivered < batch.size();
  while (batch.size() > delivered) {
    PutBack(std::move(batch.back()));
    batch.pop_back();
  }
  batch.clear();
  if (rest) return true;
  size_t skipped = 0;
  while (!inbox_.empty() && batch.size() < most &&
         skipped < most * kSkippedPerTaken) {
    SwitchedPacket packet = inbox_.Pop();
    const SwitchKey key = KeyOfReceiver(packet.header);
    SwitchConnection* const connection = table_.Find(key, packet.serial);
    if (connection == nullptr || connection->state == State::kForgotten) {
      // The guest has ended that connection, or replaced it.
      inbox_.Settle(packet);
      if (packet.header.op == kVsockOpRst) table_.Remove(key, packet.serial);
      ++skipped;
      continue;
    }
    // Before the guest sees it, for its answer may come at once.
    if (connection->state == State::kRequested) {
      connection->state = State::kOpen;
    }
    batch.push_back(std::move(packet));
  }
  return !inbox_.empty();
}

size_t SwitchEndpoint::connections() const {
  MutexLock lock(mu_);
  return table_.size();
}

}  // namespace annulus::virtio
