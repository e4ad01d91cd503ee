#ifndef DEVICES_VIRTIO_NET_CONTROL_CONTROL_TARGET_H_
#define DEVICES_VIRTIO_NET_CONTROL_CONTROL_TARGET_H_

#include <cstdint>

#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// What a command of the control queue does beyond NetSettings: the device, as
// the control queue sees it (virtio 1.4 §5.1.6.5 "Control Virtqueue").
//
// Arguments are checked: no call has a queue pair that is not there or an
// offload that was not negotiated. One command makes at most one call that may
// fail, as its last step: after a false, nothing at all has changed.
//
// Threads: called by the worker of the control queue. Calls are bounded.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;

  // max_virtqueue_pairs of the configuration space; constant.
  virtual uint16_t max_queue_pairs() const = 0;

  // How many receive and transmit virtqueues there are under the negotiated
  // features, enabled or not: those with the lowest numbers, receive queues
  // even. Constant while the control queue runs; at most 32.
  virtual uint16_t data_queues() const = 0;

  // Whether this is an enabled receive or transmit virtqueue; false for the
  // control virtqueue. `vq` is any number.
  virtual bool DataQueueEnabled(uint16_t vq) const = 0;

  // Frames go to the first `pairs` queues of the backend from now on; false
  // where the backend refuses. 1 <= pairs <= max_queue_pairs().
  virtual bool SetActivePairs(uint16_t pairs) = 0;

  // Frames are to come in like this from now on; false where the backend
  // refuses. A subset of what was negotiated, and GUEST_CSUM is among them if
  // others are.
  virtual bool SetReceiveOffloads(const FeatureSet& offloads) = 0;

  // `mac` of the configuration space is this one now; its generation is to be
  // raised. The driver, whose wish it is, need not be told.
  virtual void SetMac(const MacAddress& mac) = 0;

  // VIRTIO_NET_S_ANNOUNCE is to be cleared, before the call returns.
  virtual void AnnounceAcknowledged() = 0;

  // See CoalescingTable. "When the coalescing parameters of a device change,
  // the device needs to check if the new notification conditions are met".
  virtual void SetCoalescing(Direction direction,
                             const Coalescing& coalescing) = 0;
  // DataQueueEnabled(vq) was true.
  virtual void SetQueueCoalescing(uint16_t vq,
                                  const Coalescing& coalescing) = 0;
  virtual Coalescing QueueCoalescing(uint16_t vq) const = 0;

  // A command changed the settings, and these are published; the driver learns
  // of it when the call has returned. Workers that sleep may be woken.
  virtual void SettingsPublished(const NetSettings& settings) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_CONTROL_TARGET_H_
