#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_FIXTURE_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_FIXTURE_H_

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/switch/recording_sink.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// A guest behind a port, for tests: sends packets, and has what it was sent in
// `sink`.
//
// Threads: Send() on one, the rest on another.
class TestGuest {
 public:
  TestGuest(VsockSwitch& vsock_switch, uint64_t cid,
            const SwitchPortOptions& options = {})
      : cid_(cid) {
    auto port = vsock_switch.Attach(cid, options, NullLogSink());
    ANNULUS_CHECK(port.ok());
    port_ = *std::move(port);
    Start();
  }

  // As the device does.
  void Start() {
    port_->Start();
    port_->Listen();
  }
  void Reset() {
    port_->StopListening();
    port_->Reset();
  }

  uint64_t cid() const { return cid_; }
  SwitchPort& port() { return *port_; }
  void Destroy() { port_.reset(); }

  PacketHeader Header(uint64_t to, uint32_t own_port, uint32_t peer_port,
                      uint16_t op) const {
    return {.src_cid = cid_,
            .dst_cid = to,
            .src_port = own_port,
            .dst_port = peer_port,
            .type = kVsockTypeStream,
            .op = op};
  }

  // Nothing if it was taken, else why it is to be answered with RST. The
  // payload lies in several pieces.
  std::optional<VsockReset> Send(PacketHeader header,
                                 absl::string_view payload = "") {
    std::string bytes(payload);
    const std::vector<ChainElement> elements = Elements(bytes);
    header.len = static_cast<uint32_t>(bytes.size());
    VsockReset reason = VsockReset::kByGuest;
    if (port_->Send(header, PacketPayload(elements, 0, bytes.size()), reason)) {
      return std::nullopt;
    }
    return reason;
  }
  std::optional<VsockReset> Send(uint64_t to, uint32_t own_port,
                                 uint32_t peer_port, uint16_t op,
                                 absl::string_view payload = "") {
    return Send(Header(to, own_port, peer_port, op), payload);
  }

  bool SendDatagram(uint64_t to, absl::string_view payload) {
    std::string bytes(payload);
    const std::vector<ChainElement> elements = Elements(bytes);
    PacketHeader header = Header(to, 1, 2, kVsockOpRw);
    header.type = kVsockTypeDgram;
    header.len = static_cast<uint32_t>(bytes.size());
    return port_->SendDatagram(header,
                               PacketPayload(elements, 0, bytes.size()));
  }

  bool Deliver() {
    port_->Poll();
    return port_->Deliver(sink);
  }

  // The operations that came.
  std::vector<uint16_t> Ops() {
    Deliver();
    return sink.TakeOps();
  }

  bool Readable() {
    pollfd poll = {port_->fd(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  RecordingSink sink;

 private:
  static std::vector<ChainElement> Elements(std::string& bytes) {
    std::vector<ChainElement> elements;
    const size_t half = bytes.size() / 2;
    for (const auto& [begin, size] :
         {std::pair(size_t{0}, half), std::pair(half, bytes.size() - half)}) {
      if (size == 0) continue;
      elements.push_back(
          {.span = memory::GuestSpan(
               reinterpret_cast<uint8_t*>(bytes.data()) + begin, size),
           .address = memory::GuestAddress(0)});
    }
    return elements;
  }

  const uint64_t cid_;
  std::unique_ptr<SwitchPort> port_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_FIXTURE_H_
