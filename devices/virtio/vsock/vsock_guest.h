#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_GUEST_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_GUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"

namespace annulus::virtio {

// For tests: the driver of a socket device behind a transport. It sends what
// it is told to and keeps no connections.
//
// Threads: thread-compatible.
class VsockGuest {
 public:
  struct Options {
    RingShape shape;
    FeatureSet features;  // Beside those of the ring, all of them offered.
    std::optional<uint32_t> mrg_rxbuf =
        std::nullopt;  // Negotiate this bit as MRG_RXBUF,
    std::optional<uint32_t> dgram = std::nullopt;  // and this as DGRAM.
    uint32_t buffer_bytes = 3776;                  // Of rx, as Linux has them,
    int buffers = 32;                              // and how many.
    int events = 8;  // Buffers in the event virtqueue.
  };

  struct Packet {
    PacketHeader header;
    std::string payload;
  };

  static constexpr uint16_t kQueueSize = 64;

  // `transport` outlives the guest.
  VsockGuest(TestDriver& transport, const Options& options)
      : transport_(transport), options_(options) {}

  // Resets the device and starts it: all queues, with buffers.
  void Start();
  // Up to FEATURES_OK; then EnableQueue() for each, and DriverOk().
  void Negotiate();
  void EnableQueue(uint16_t queue);
  void EnableQueues();
  void DriverOk() { transport_.DriverOk(); }
  // VIRTIO_F_RING_RESET of one; what is in it is lost to the driver.
  void ResetQueue(uint16_t queue);

  uint16_t rx() const { return kVsockRxQueue; }
  uint16_t tx() const { return kVsockTxQueue; }
  uint16_t event() const {
    return options_.dgram.has_value() ? kVsockDgramEventQueue
                                      : kVsockEventQueue;
  }
  uint16_t queues() const { return static_cast<uint16_t>(event() + 1); }
  size_t header_bytes() const {
    return options_.mrg_rxbuf.has_value() ? kVsockMergeableHeaderBytes
                                          : kVsockHeaderBytes;
  }
  FakeDriver& ring(uint16_t queue) { return *rings_[queue]; }

  uint64_t cid();  // As the configuration space has it.
  void NotifyIfWanted(uint16_t queue);

  // Makes rx buffers available; how many were.
  int Fill(uint16_t queue, int count);
  // A buffer of 4 bytes for events.
  void AddEventBuffer();

  // Of connections between `own` and `peer` ports.
  PacketHeader Header(uint16_t op, uint32_t own, uint32_t peer,
                      uint16_t type = kVsockTypeStream);

  // Sends one packet in descriptors of these sizes and one for the rest. Waits
  // for room, with interrupts.
  void Send(const PacketHeader& header, absl::string_view payload = "",
            const std::vector<size_t>& pieces = {},
            uint16_t queue = kVsockTxQueue);
  // Waits until the device gave back all that was sent.
  void AwaitSent(uint16_t queue = kVsockTxQueue);

  // The next packet, and gives its buffers back. Receive() waits for it, with
  // interrupts; a test that hangs there has failed.
  std::optional<Packet> TryReceive(uint16_t queue = kVsockRxQueue);
  Packet Receive(uint16_t queue = kVsockRxQueue);
  // The next event, likewise. It takes the buffer and adds none.
  FakeDriver::Used AwaitEvent() { return AwaitUsed(event()); }

  // Stops giving rx buffers back.
  void set_refills(bool refills) { refills_ = refills; }

  // A connection that the guest begins. REQUIRES: the next packet is the reply.
  Packet Connect(uint32_t own, uint32_t peer, uint16_t type = kVsockTypeStream);

 private:
  FakeDriver::Used AwaitUsed(uint16_t queue);
  std::optional<Packet> TakePacket(uint16_t queue, FakeDriver::Used first);

  TestDriver& transport_;
  const Options options_;
  bool refills_ = true;
  std::vector<std::unique_ptr<FakeDriver>> rings_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_GUEST_H_
