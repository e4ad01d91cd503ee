#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_RECORDING_MUXER_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_RECORDING_MUXER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/packet_sink.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"

// For tests of a queue by itself: who the packets are for, with no connections
// behind it.

namespace annulus::virtio {

class RecordingMuxer final : public Muxer {
 public:
  void Start(const FeatureSet&) override {}
  void Reset() override {}
  void ResetTransport(uint64_t) override {}

  void PacketFromGuest(const PacketHeader& header,
                       const PacketPayload& payload) override {
    std::vector<uint8_t> copy(payload.size());
    payload.CopyOut(absl::MakeSpan(copy));
    packets.emplace_back(header, std::string(copy.begin(), copy.end()));
  }
  void Refuse(const PacketHeader& header, VsockReset reason) override {
    refused.emplace_back(header, reason);
  }

  int fd() const override { return event.fd(); }
  int64_t deadline_ns() const override { return deadline; }
  void PollHost(int64_t) override { ++polls; }

  // Sends what waits, `bound` packets at most.
  Delivered Deliver(PacketSink& sink) override {
    for (int i = 0; i < bound; ++i) {
      if (to_guest == 0) return Delivered::kAll;
      if (!sink.Put(header)) return Delivered::kNoRoom;
      --to_guest;
    }
    return to_guest == 0 ? Delivered::kAll : Delivered::kMore;
  }

  uint32_t connections() const override { return 0; }

  std::vector<std::pair<PacketHeader, std::string>> packets;
  std::vector<std::pair<PacketHeader, VsockReset>> refused;
  EventFd event = EventFd::Create().value();
  int64_t deadline = QueueWait::kForever;
  int polls = 0;
  int to_guest = 0;
  int bound = 8;
  PacketHeader header = {.src_cid = kVsockHostCid, .op = kVsockOpCreditUpdate};
};

// Likewise another guest's.
class RecordingPort final : public SwitchPort {
 public:
  void Start() override {}
  void Reset() override {}
  void Listen() override { listens = true; }
  void StopListening() override { listens = false; }
  bool Send(const PacketHeader& header, const PacketPayload&,
            VsockReset& reason) override {
    reason = VsockReset::kRefused;
    if (header.dst_cid != reachable) return false;
    sent.push_back(header);
    return true;
  }
  bool SendDatagram(const PacketHeader& header, const PacketPayload&) override {
    return header.dst_cid == reachable;
  }
  int fd() const override { return event.fd(); }
  void Poll() override { ++polls; }
  bool Deliver(PacketSink& sink) override {
    for (int i = 0; i < bound && to_guest != 0; ++i, --to_guest) {
      if (!sink.Put(header)) return false;
    }
    return true;
  }
  int datagram_fd() const override { return event.fd(); }
  bool DeliverDatagrams(PacketSink&) override { return true; }

  uint64_t reachable = 77;
  bool listens = false;
  std::vector<PacketHeader> sent;
  EventFd event = EventFd::Create().value();
  int polls = 0;
  int to_guest = 0;
  int bound = 8;
  PacketHeader header = {.src_cid = 77, .op = kVsockOpCreditUpdate};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_RECORDING_MUXER_H_
