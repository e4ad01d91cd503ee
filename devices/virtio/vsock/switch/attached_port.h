#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_ATTACHED_PORT_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_ATTACHED_PORT_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/packet_sink.h"
#include "devices/virtio/vsock/switch/link/process_links.h"
#include "devices/virtio/vsock/switch/switch_member.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/switch/switched_packet.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus::virtio {

// A guest's place in a switch. What others may touch is in its SwitchMember;
// the rest belongs to the workers of the device.
//
// Threads: as SwitchPort.
// Allocation: one buffer for each packet with payload; else amortized.
class AttachedPort : public SwitchPort {
 public:
  // Cold. The member has joined; it leaves with the port. `links` are those to
  // other processes, or null.
  AttachedPort(std::shared_ptr<SwitchMembers> members,
               std::shared_ptr<SwitchMember> member,
               std::unique_ptr<ProcessLinks> links);
  ~AttachedPort() override;

  void Start() override;
  void Reset() override;
  void Listen() override {
    if (links_ != nullptr) links_->Listen();
  }
  void StopListening() override {
    if (links_ != nullptr) links_->StopListening();
  }
  bool Send(const PacketHeader& header, const PacketPayload& payload,
            VsockReset& reason) override;
  bool SendDatagram(const PacketHeader& header,
                    const PacketPayload& payload) override;
  int fd() const override {
    return links_ == nullptr ? self_.doorbell().fd() : links_->fd();
  }
  void Poll() override {
    if (links_ != nullptr) links_->Poll();
  }
  bool Deliver(PacketSink& sink) override;
  int datagram_fd() const override {
    return member_->datagrams.doorbell().fd();
  }
  bool DeliverDatagrams(PacketSink& sink) override;

 private:
  bool Forward(const PacketHeader& header, const PacketPayload& payload,
               const SwitchConnection& connection, VsockReset& reason);

  const std::shared_ptr<SwitchMembers> members_;
  const std::shared_ptr<SwitchMember> member_;
  SwitchEndpoint& self_;
  const std::unique_ptr<ProcessLinks> links_;  // Null: there are none.

  MemberCache peers_;           // Of the tx worker.
  MemberCache datagram_peers_;  // Of the datagram tx worker.

  // Of the rx worker and the datagram rx worker; empty but in a call.
  std::vector<SwitchedPacket> batch_;
  std::vector<SwitchedPacket> datagram_batch_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_ATTACHED_PORT_H_
