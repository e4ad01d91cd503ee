#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_READY_LIST_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_READY_LIST_H_

#include <cstddef>

#include "devices/virtio/vsock/connection/connection.h"

namespace annulus::virtio {

// Connections that have something to send to the guest, in the order of their
// turns. Each is in it at most once.
//
// Threads: thread-compatible.
// Allocation: none.
class ReadyList {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }

  void PushBack(Connection& connection) {
    if (connection.ready) return;
    Link(connection, last_, nullptr);
  }
  void PushFront(Connection& connection) {
    if (connection.ready) return;
    Link(connection, nullptr, first_);
  }

  // Null if there is none.
  Connection* Front() const { return first_; }
  Connection* PopFront() {
    Connection* const connection = first_;
    if (connection != nullptr) Remove(*connection);
    return connection;
  }

  void Remove(Connection& connection) {
    if (!connection.ready) return;
    Connection* const previous = connection.ready_previous;
    Connection* const next = connection.ready_next;
    (previous != nullptr ? previous->ready_next : first_) = next;
    (next != nullptr ? next->ready_previous : last_) = previous;
    connection.ready_previous = connection.ready_next = nullptr;
    connection.ready = false;
    --size_;
  }

 private:
  void Link(Connection& connection, Connection* previous, Connection* next) {
    connection.ready_previous = previous;
    connection.ready_next = next;
    (previous != nullptr ? previous->ready_next : first_) = &connection;
    (next != nullptr ? next->ready_previous : last_) = &connection;
    connection.ready = true;
    ++size_;
  }

  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_READY_LIST_H_
