#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_CONNECTION_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_CONNECTION_H_

#include <cstdint>

#include "devices/virtio/driver/vsock_credit.h"
#include "devices/virtio/driver/vsock_packet.h"

// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

// Which connection of an endpoint, together with the endpoint's own CID.
struct VsockKey {
  uint64_t peer_cid = 0;
  uint32_t peer_port = 0;
  uint32_t port = 0;

  friend bool operator==(const VsockKey&, const VsockKey&) = default;
};

// One connection of a VsockEndpoint. Programs read it, and may set `user`.
struct VsockConnection {
  enum class State : uint8_t {
    kFree,
    kConnecting,  // REQUEST was sent.
    kConnected,
    kClosing,  // SHUTDOWN of both was sent; the peer answers with RST.
  };

  VsockKey key;
  uint16_t type = 0;
  State state = State::kFree;
  uint32_t shutdown = 0;       // Flags of SHUTDOWN that were sent,
  uint32_t peer_shutdown = 0;  // and received.
  VsockSendCredit send;
  VsockReceiveCredit receive;
  bool wants_credit = false;  // A send found less than it asked for.
  uint64_t user = 0;          // Of whoever uses the endpoint.

  // Of the endpoint.
  bool report = false;  // The next of the two is due.
  bool message_ended = false;
  uint32_t next_report = 0;   // In the list of those with something to report.
  uint32_t next_in_slot = 0;  // In the table, or of those that are free.
};

// The connections of one endpoint by their keys, in memory of the caller's.
//
// Threads: thread-compatible.
// Allocation: none.
class VsockConnectionTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  // `slots` are `slot_count` places, a power of two; best as many as there are
  // connections.
  VsockConnectionTable(VsockConnection* connections, uint32_t count,
                       uint32_t* slots, uint32_t slot_count)
      : connections_(connections), slots_(slots), mask_(slot_count - 1) {
    for (uint32_t i = 0; i < slot_count; ++i) slots_[i] = kNone;
    for (uint32_t i = count; i != 0; --i) {
      connections_[i - 1] = {};
      connections_[i - 1].next_in_slot = free_;
      free_ = i - 1;
    }
  }

  VsockConnection& at(uint32_t number) { return connections_[number]; }
  uint32_t NumberOf(const VsockConnection& connection) const {
    return static_cast<uint32_t>(&connection - connections_);
  }
  uint32_t used() const { return used_; }

  // Hot. Null: there is none.
  VsockConnection* Find(const VsockKey& key) {
    for (uint32_t i = slots_[SlotOf(key)]; i != kNone;
         i = connections_[i].next_in_slot) {
      if (connections_[i].key == key) return &connections_[i];
    }
    return nullptr;
  }

  // Null: the table is full. REQUIRES: there is none of this key.
  VsockConnection* Add(const VsockKey& key) {
    if (free_ == kNone) return nullptr;
    const uint32_t number = free_;
    VsockConnection& connection = connections_[number];
    free_ = connection.next_in_slot;
    connection = {};
    connection.key = key;
    uint32_t& slot = slots_[SlotOf(key)];
    connection.next_in_slot = slot;
    slot = number;
    ++used_;
    return &connection;
  }

  void Remove(VsockConnection& connection) {
    const uint32_t number = NumberOf(connection);
    uint32_t* link = &slots_[SlotOf(connection.key)];
    while (*link != number) link = &connections_[*link].next_in_slot;
    *link = connection.next_in_slot;
    connection.state = VsockConnection::State::kFree;
    connection.next_in_slot = free_;
    free_ = number;
    --used_;
  }

 private:
  uint32_t SlotOf(const VsockKey& key) const {
    uint64_t hash = key.peer_port * uint64_t{0x9e3779b97f4a7c15};
    hash ^= (key.port + (key.peer_cid << 32)) * uint64_t{0xc2b2ae3d27d4eb4f};
    return static_cast<uint32_t>(hash >> 32) & mask_;
  }

  VsockConnection* connections_;
  uint32_t* slots_;
  uint32_t mask_;
  uint32_t free_ = kNone;
  uint32_t used_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_CONNECTION_H_
