#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_DATAGRAM_INBOX_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_DATAGRAM_INBOX_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "devices/virtio/vsock/switch/doorbell.h"
#include "devices/virtio/vsock/switch/packet_queue.h"
#include "devices/virtio/vsock/switch/switched_packet.h"

namespace annulus::virtio {

// Datagrams that wait for one guest. What finds no room is lost.
//
// Threads: thread-safe; Exchange() on the datagram rx worker.
class DatagramInbox {
 public:
  // "At most 64 KiB of payload": what a message to another process holds too.
  static constexpr size_t kMaxBytes = 64 * 1024;

  DatagramInbox(uint64_t max_bytes, EventFd event)
      : doorbell_(std::move(event)), inbox_(max_bytes) {}

  Doorbell& doorbell() { return doorbell_; }

  void Open();
  void Close();

  // Hot. False: it is lost.
  bool Arrive(SwitchedPacket packet);

  // Hot. As that of SwitchEndpoint.
  bool Exchange(std::vector<SwitchedPacket>& batch, size_t delivered,
                size_t most);

 private:
  Doorbell doorbell_;  // Thread-safe.

  Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  PacketQueue inbox_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_DATAGRAM_INBOX_H_
