#include "devices/virtio/vsock/connection/connection_table.h"

#include <utility>

#include "base/check.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kFirstHostPort = 1u << 30;
constexpr uint32_t kHostPorts = 1u << 30;

}  // namespace

Connection& ConnectionTable::Insert(std::unique_ptr<Connection> connection) {
  if (free_.empty()) {
    free_.push_back(slots());
    slots_.emplace_back();
  }
  Connection& inserted = *connection;
  inserted.slot = free_.back();
  free_.pop_back();
  Slot& slot = slots_[inserted.slot];
  inserted.generation = slot.generation;
  slot.connection = std::move(connection);
  const bool is_new = by_key_.emplace(inserted.key.value(), &inserted).second;
  ANNULUS_CHECK(is_new);
  ++size_;
  return inserted;
}

void ConnectionTable::RemoveKey(const Connection& connection) {
  if (last_ == &connection) last_ = nullptr;
  const auto found = by_key_.find(connection.key.value());
  // The ports may be another one's since.
  if (found != by_key_.end() && found->second == &connection) {
    by_key_.erase(found);
  }
}

std::unique_ptr<Connection> ConnectionTable::Remove(Connection& connection) {
  RemoveKey(connection);
  Slot& slot = slots_[connection.slot];
  ++slot.generation;
  free_.push_back(connection.slot);
  --size_;
  return std::move(slot.connection);
}

Connection* ConnectionTable::FindByHandle(uint64_t handle) {
  const auto slot = static_cast<uint32_t>(handle);
  if (slot >= slots_.size() ||
      slots_[slot].generation != static_cast<uint32_t>(handle >> 32)) {
    return nullptr;
  }
  return slots_[slot].connection.get();
}

uint32_t ConnectionTable::NextHostPort(uint32_t guest_port) {
  // Fewer connections than ports: it ends.
  while (true) {
    const uint32_t port = next_host_port_;
    next_host_port_ =
        kFirstHostPort + (next_host_port_ - kFirstHostPort + 1) % kHostPorts;
    const ConnectionKey key = {.guest_port = guest_port, .host_port = port};
    if (!by_key_.contains(key.value())) return port;
  }
}

}  // namespace annulus::virtio
