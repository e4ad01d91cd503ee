#ifndef DEVICES_VIRTIO_NET_CONTROL_RECORDING_TARGET_H_
#define DEVICES_VIRTIO_NET_CONTROL_RECORDING_TARGET_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// For tests: a card of which the control queue's part alone is there. It writes
// down what it is asked to do.
class RecordingTarget final : public ControlTarget {
 public:
  uint16_t max_queue_pairs() const override { return pairs; }
  uint16_t data_queues() const override { return 2 * pairs; }
  bool DataQueueEnabled(uint16_t vq) const override {
    return enabled.count(vq) != 0;
  }
  bool SetActivePairs(uint16_t active) override {
    calls.push_back(absl::StrCat("pairs ", active));
    return !refuses;
  }
  bool SetReceiveOffloads(const FeatureSet& wanted) override {
    calls.push_back("offloads");
    if (!refuses) offloads = wanted;
    return !refuses;
  }
  void SetMac(const MacAddress& address) override {
    calls.push_back("mac");
    mac = address;
  }
  void AnnounceAcknowledged() override { calls.push_back("announce"); }
  void SetCoalescing(Direction direction,
                     const Coalescing& parameters) override {
    calls.push_back(direction == Direction::kReceive ? "coalesce rx"
                                                     : "coalesce tx");
    coalescing.SetAll(direction, parameters);
  }
  void SetQueueCoalescing(uint16_t vq, const Coalescing& parameters) override {
    calls.push_back(absl::StrCat("coalesce ", vq));
    coalescing.Set(vq, parameters);
  }
  Coalescing QueueCoalescing(uint16_t vq) const override {
    return coalescing.Of(vq);
  }
  void SettingsPublished(const NetSettings& settings) override {
    calls.push_back("published");
    published = settings;
  }

  uint16_t pairs = 4;
  std::set<uint16_t> enabled = {0, 1, 2, 3, 4, 5, 6, 7};  // Virtqueues.
  bool refuses = false;                                   // As a backend may.

  std::vector<std::string> calls;
  FeatureSet offloads;
  MacAddress mac = {};
  CoalescingTable coalescing;
  NetSettings published;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_RECORDING_TARGET_H_
