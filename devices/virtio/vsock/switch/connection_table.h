#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_CONNECTION_TABLE_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "devices/virtio/vsock/packet_header.h"

namespace annulus::virtio {

// Who is connected with whom, as one guest sees it.
struct SwitchKey {
  uint64_t peer_cid = 0;
  uint32_t own_port = 0;
  uint32_t peer_port = 0;
  uint16_t type = 0;

  friend bool operator==(const SwitchKey&, const SwitchKey&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const SwitchKey& key) {
    return H::combine(std::move(state), key.peer_cid, key.own_port,
                      key.peer_port, key.type);
  }
};

// As the sender of the packet sees it, and as who it is for does.
inline SwitchKey KeyOfSender(const PacketHeader& header) {
  return {.peer_cid = header.dst_cid,
          .own_port = header.src_port,
          .peer_port = header.dst_port,
          .type = header.type};
}
inline SwitchKey KeyOfReceiver(const PacketHeader& header) {
  return {.peer_cid = header.src_cid,
          .own_port = header.dst_port,
          .peer_port = header.src_port,
          .type = header.type};
}

// One connection of a guest with another guest.
struct SwitchConnection {
  enum class State : uint8_t {
    kRequesting,  // The guest sent a REQUEST; there is no RESPONSE yet.
    kRequested,   // A REQUEST waits for the guest, who knows nothing of it.
    kOpen,        // The guest knows of it.
    kReset,       // A RST waits for the guest, who knows nothing of that.
    kForgotten    // A RST waits, but the guest does not care any more.
  };

  // The same at both ends; no two connections of a key have the same.
  uint64_t serial = 0;
  State state = State::kRequesting;
  bool outgoing = false;  // The guest asked for it.
  // To and from another process: the links on which its packets went and came,
  // or 0.
  uint64_t out_link = 0;
  uint64_t in_link = 0;
};

// All connections of one guest with other guests, bounded. Several of the same
// key are those whose end the guest has not been told of yet, and one that came
// after them. One for which a RST waits stays until that is taken, so that no
// more RSTs wait than there may be connections.
//
// The guest may begin max_connections. Of those that others begin there may be
// twice as many, but no one of them may have more than what is free: one alone
// can have max_connections, and cannot keep others out.
//
// Threads: thread-compatible.
// Allocation: with the number of connections.
class SwitchConnectionTable {
 public:
  explicit SwitchConnectionTable(uint32_t max_connections)
      : max_connections_(max_connections) {}

  size_t size() const { return outgoing_ + incoming_; }

  // The youngest one; null if there is none that the guest cares for. Valid
  // until the table changes.
  SwitchConnection* Newest(const SwitchKey& key);
  // That one; null if it is gone.
  SwitchConnection* Find(const SwitchKey& key, uint64_t serial);

  bool AdmitsOutgoing() const { return outgoing_ < max_connections_; }
  bool AdmitsIncoming(uint64_t peer_cid) const;

  void Add(const SwitchKey& key, const SwitchConnection& connection);
  void Remove(const SwitchKey& key, uint64_t serial);
  // The guest does not care any more for those of that key, but for the
  // youngest if `but_newest` is set.
  void Forget(const SwitchKey& key, bool but_newest);
  void Clear();

  // function(key, connection) may change the connection, not the table.
  template <typename Function>
  void ForEach(Function function) {
    for (auto& [key, list] : connections_) {
      for (SwitchConnection& connection : list) function(key, connection);
    }
  }

 private:
  using List = absl::InlinedVector<SwitchConnection, 1>;

  void Uncount(const SwitchKey& key, const SwitchConnection& connection);

  const uint64_t max_connections_;
  uint64_t outgoing_ = 0;
  uint64_t incoming_ = 0;
  absl::flat_hash_map<SwitchKey, List> connections_;          // None is empty.
  absl::flat_hash_map<uint64_t, uint64_t> incoming_by_peer_;  // None is 0.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_CONNECTION_TABLE_H_
