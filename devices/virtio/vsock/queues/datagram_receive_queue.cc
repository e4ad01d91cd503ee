#include "devices/virtio/vsock/queues/datagram_receive_queue.h"

#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {

void DatagramReceiveQueue::QueueStarted(Virtqueue& queue) {
  sink_.Start(queue, mergeable_);
  stalls_ = false;
}

// Hot.
bool DatagramReceiveQueue::Drain(Virtqueue& /*queue*/) {
  const Turn::Work turn(around_.turn);
  wait_ = {.buffers = false};
  if (!around_.gate.open()) return false;
  // Who comes first may find the last buffer.
  std::array<Delivered, 2> delivered;
  if (port_first_) {
    delivered = {DeliverPort(), DeliverHost()};
  } else {
    delivered = {DeliverHost(), DeliverPort()};
  }
  port_first_ = !port_first_;
  bool stalls = false;
  bool more = false;
  for (const Delivered one : delivered) {
    stalls |= one == Delivered::kNoRoom;
    more |= one == Delivered::kMore;
  }
  if (stalls && !stalls_) around_.counters.buffer_stalls.Add(1);
  stalls_ = stalls;
  wait_.buffers = stalls;
  // What waits for a buffer would make them readable for ever.
  if (!stalls && around_.host != nullptr) {
    wait_.fds[0] = {around_.host->fd(), POLLIN, 0};
  }
  if (!stalls && around_.port != nullptr) {
    wait_.fds[1] = {around_.port->datagram_fd(), POLLIN, 0};
  }
  return more && !stalls;
}

DatagramReceiveQueue::Delivered DatagramReceiveQueue::DeliverPort() {
  if (around_.port == nullptr) return Delivered::kAll;
  // At its bound, its fd stays readable.
  return around_.port->DeliverDatagrams(sink_) ? Delivered::kAll
                                               : Delivered::kNoRoom;
}

// Straight to the guest's buffers, before it is known how large it is.
DatagramReceiveQueue::Delivered DatagramReceiveQueue::DeliverHost() {
  if (around_.host == nullptr) return Delivered::kAll;
  for (uint32_t i = 0; i < kBatch; ++i) {
    const absl::Span<const iovec> room = sink_.Room(kMaxBytes, 1);
    if (room.empty()) {
      // If there is a datagram at all, it has to wait.
      pollfd fd = {around_.host->fd(), POLLIN, 0};
      return ::poll(&fd, 1, 0) > 0 ? Delivered::kNoRoom : Delivered::kAll;
    }
    HostDatagrams::Ports ports;
    const std::optional<size_t> bytes = around_.host->Receive(room, ports);
    if (!bytes.has_value()) return Delivered::kAll;
    size_t most = 0;
    for (const iovec& vector : room) most += vector.iov_len;
    if (*bytes > most) {
      around_.counters.datagrams_lost.Add(1);
    } else if (*bytes == 0) {
      (void)sink_.Put(HeaderOf(ports));  // There is a buffer.
    } else {
      sink_.Commit(HeaderOf(ports), *bytes);
    }
  }
  return Delivered::kMore;
}

PacketHeader DatagramReceiveQueue::HeaderOf(
    const HostDatagrams::Ports& ports) const {
  return {.src_cid = kVsockHostCid,
          // Relaxed: changed by who interrupts the turn.
          .dst_cid = around_.guest_cid.load(std::memory_order_relaxed),
          .src_port = ports.host,
          .dst_port = ports.guest,
          .type = kVsockTypeDgram,
          .op = kVsockOpRw};
}

}  // namespace annulus::virtio
