#include "devices/virtio/net/switch/frame_switch_port.h"

#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/all_offloads.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<FrameSwitchPort>> FrameSwitchPort::Create(
    std::shared_ptr<FrameSwitch> frame_switch, uint16_t queue_pairs) {
  ANNULUS_ASSIGN_OR_RETURN(const uint8_t port,
                           frame_switch->AddPort(queue_pairs));
  return std::unique_ptr<FrameSwitchPort>(
      new FrameSwitchPort(std::move(frame_switch), port, queue_pairs));
}

FrameSwitchPort::FrameSwitchPort(std::shared_ptr<FrameSwitch> frame_switch,
                                 uint8_t port, uint16_t queue_pairs)
    : switch_(std::move(frame_switch)), port_(port) {
  const uint8_t first = switch_->route(port).first_slot;
  // A switch has 63 pairs in all.
  for (uint16_t i = 0; i < queue_pairs; ++i) {
    queues_.push_back(std::make_unique<SwitchPortQueue>(
        *switch_, port, static_cast<uint8_t>(first + i),
        static_cast<uint8_t>(i)));
  }
}

FrameSwitchPort::~FrameSwitchPort() {
  // Nothing of this port is in the rings when another one takes the slots.
  for (const auto& queue : queues_) queue->Flush();
  switch_->RemovePort(port_);
}

// Those of which a frame can be had without them. UFO's cannot: nobody cuts
// those up any more.
FeatureSet FrameSwitchPort::offloads() const {
  FeatureSet offloads = kAllOffloads;
  offloads.Remove(kNetHostUfo);
  offloads.Remove(kNetGuestUfo);
  return offloads;
}

absl::Status FrameSwitchPort::SetReceiveOffloads(const FeatureSet& offloads) {
  switch_->SetReceiveOffloads(port_, offloads);
  return absl::OkStatus();
}

absl::Status FrameSwitchPort::SetActivePairs(uint16_t pairs) {
  ANNULUS_CHECK(pairs >= 1 && pairs <= queues_.size());
  switch_->SetActivePairs(port_, pairs);
  return absl::OkStatus();
}

void FrameSwitchPort::SetPolled(bool polled) {
  for (const auto& queue : queues_) queue->SetPolled(polled);
}

}  // namespace annulus::virtio
