#include "devices/virtio/vsock/switch/connection_table.h"

#include <algorithm>

namespace annulus::virtio {

SwitchConnection* SwitchConnectionTable::Newest(const SwitchKey& key) {
  const auto list = connections_.find(key);
  if (list == connections_.end()) return nullptr;
  SwitchConnection& newest = list->second.back();
  return newest.state == SwitchConnection::State::kForgotten ? nullptr
                                                             : &newest;
}

SwitchConnection* SwitchConnectionTable::Find(const SwitchKey& key,
                                              uint64_t serial) {
  const auto list = connections_.find(key);
  if (list == connections_.end()) return nullptr;
  for (SwitchConnection& connection : list->second) {
    if (connection.serial == serial) return &connection;
  }
  return nullptr;
}

bool SwitchConnectionTable::AdmitsIncoming(uint64_t peer_cid) const {
  const uint64_t free = 2 * max_connections_ - incoming_;
  const auto own = incoming_by_peer_.find(peer_cid);
  const uint64_t held = own == incoming_by_peer_.end() ? 0 : own->second;
  return held < free;
}

void SwitchConnectionTable::Add(const SwitchKey& key,
                                const SwitchConnection& connection) {
  connections_[key].push_back(connection);
  if (connection.outgoing) {
    ++outgoing_;
  } else {
    ++incoming_;
    ++incoming_by_peer_[key.peer_cid];
  }
}

void SwitchConnectionTable::Uncount(const SwitchKey& key,
                                    const SwitchConnection& connection) {
  if (connection.outgoing) {
    --outgoing_;
    return;
  }
  --incoming_;
  const auto own = incoming_by_peer_.find(key.peer_cid);
  if (--own->second == 0) incoming_by_peer_.erase(own);
}

void SwitchConnectionTable::Remove(const SwitchKey& key, uint64_t serial) {
  const auto list = connections_.find(key);
  if (list == connections_.end()) return;
  const auto connection =
      std::find_if(list->second.begin(), list->second.end(),
                   [serial](const SwitchConnection& candidate) {
                     return candidate.serial == serial;
                   });
  if (connection == list->second.end()) return;
  Uncount(key, *connection);
  list->second.erase(connection);
  if (list->second.empty()) connections_.erase(list);
}

void SwitchConnectionTable::Forget(const SwitchKey& key, bool but_newest) {
  const auto found = connections_.find(key);
  if (found == connections_.end()) return;
  List& list = found->second;
  const auto end = but_newest ? list.end() - 1 : list.end();
  const auto kept = std::remove_if(
      list.begin(), end, [this, &key](SwitchConnection& connection) {
        if (connection.state == SwitchConnection::State::kReset) {
          connection.state = SwitchConnection::State::kForgotten;
        }
        if (connection.state == SwitchConnection::State::kForgotten) {
          return false;
        }
        Uncount(key, connection);
        return true;
      });
  list.erase(kept, end);
  if (list.empty()) connections_.erase(found);
}

void SwitchConnectionTable::Clear() {
  connections_.clear();
  incoming_by_peer_.clear();
  outgoing_ = incoming_ = 0;
}

}  // namespace annulus::virtio
