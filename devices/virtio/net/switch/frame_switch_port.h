#ifndef DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_
#define DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/switch_port_queue.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// A port of a FrameSwitch, with as many queue pairs as a card wants:
//
// - Unicast frames go to the port at which their destination was seen last, to
//   all other ports if that is not known; group addresses to all other ports.
//   No frame comes back to its port. VLAN tags are not looked at.
// - The frames of one queue pair to one port keep their order: they all go to
//   the same of its queue pairs, that of the same index among the active ones.
// - A frame with offloads goes to a driver that takes it as it is. For another,
//   the checksum is made and the frame is cut up, as a wire's card would.
// - Who does not receive fast enough loses frames, and holds up nobody.
//
// Threads: as NetBackend and NetBackendQueue. Ports come and go while others
//   run.
// Trust: what is looked at, addresses, is read from guest memory before the
//   frame is copied: a driver that changes them meanwhile sends to whom it
//   could have sent anyway. A port can claim another one's address, as at any
//   switch that learns; the other takes it back with its next frame.
// Allocation: all in Create().
class FrameSwitchPort final : public NetBackend {
 public:
  // ResourceExhausted, if the switch has no room for so many queue pairs.
  static absl::StatusOr<std::unique_ptr<FrameSwitchPort>> Create(
      std::shared_ptr<FrameSwitch> frame_switch, uint16_t queue_pairs);
  ~FrameSwitchPort() override;

  FeatureSet offloads() const override;
  uint16_t queue_pairs() const override {
    return static_cast<uint16_t>(queues_.size());
  }
  SwitchPortQueue& queue(uint16_t pair) override { return *queues_[pair]; }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override;
  absl::Status SetActivePairs(uint16_t pairs) override;
  void SetPolled(bool polled) override;
  // The cable ends in the switch, whoever else is there.
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver*) override {}

 private:
  FrameSwitchPort(std::shared_ptr<FrameSwitch> frame_switch, uint8_t port,
                  uint16_t queue_pairs);

  // shared_ptr: the last port, and whoever else may add one, keep it.
  const std::shared_ptr<FrameSwitch> switch_;
  const uint8_t port_;
  std::vector<std::unique_ptr<SwitchPortQueue>> queues_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_PORT_H_
