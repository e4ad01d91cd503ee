#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_TABLE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "devices/virtio/vsock/connection/connection.h"

namespace annulus::virtio {

// All connections, by their ports and by a handle that names one even after it
// is gone: an event of a socket may be late.
//
// Threads: thread-compatible.
// Allocation: when there are more connections than ever before.
class ConnectionTable {
 public:
  size_t size() const { return size_; }

  // Hot. Null if there is none. Packets come in runs of one connection, which
  // is therefore looked at first.
  Connection* Find(ConnectionKey key) {
    if (last_ != nullptr && last_->key == key) return last_;
    const auto found = by_key_.find(key.value());
    if (found == by_key_.end()) return nullptr;
    last_ = found->second;
    return last_;
  }

  // REQUIRES: there is none with this key.
  Connection& Insert(std::unique_ptr<Connection> connection);

  // Its ports name nothing from now on; the rest stays as it is.
  void RemoveKey(const Connection& connection);

  // Takes it out altogether.
  std::unique_ptr<Connection> Remove(Connection& connection);

  static uint64_t HandleOf(const Connection& connection) {
    return uint64_t{connection.generation} << 32 | connection.slot;
  }
  // Null if that connection is gone.
  Connection* FindByHandle(uint64_t handle);
  // Null if the slot is free. REQUIRES: there was once one of this number.
  Connection* FindBySlot(uint32_t slot) {
    return slots_[slot].connection.get();
  }
  // For looking at each.
  uint32_t slots() const { return static_cast<uint32_t>(slots_.size()); }

  // A port of the host for a caller of `guest_port`. Round robin in [2^30,
  // 2^31), as other monitors do, so that one is not used again soon.
  uint32_t NextHostPort(uint32_t guest_port);

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    uint32_t generation = 0;
  };

  absl::flat_hash_map<uint64_t, Connection*> by_key_;
  Connection* last_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
  uint32_t next_host_port_ = 1u << 30;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_TABLE_H_
