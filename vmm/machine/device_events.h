#ifndef VMM_MACHINE_DEVICE_EVENTS_H_
#define VMM_MACHINE_DEVICE_EVENTS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/transport/device_observer.h"
#include "vmm/vm_event.h"

namespace annulus {

// Makes events of what becomes of one device.
//
// Threads: thread-safe.
class DeviceEvents final : public virtio::DeviceObserver,
                           public virtio::LinkObserver {
 public:
  // `sink` outlives this.
  DeviceEvents(std::string device, VmEventSink& sink)
      : device_(std::move(device)), sink_(sink) {}

  void DriverReady() override { Tell({.kind = VmEvent::Kind::kDriverReady}); }
  void DeviceReset() override { Tell({.kind = VmEvent::Kind::kDeviceReset}); }
  void QueueBroken(uint16_t queue) override {
    Tell({.kind = VmEvent::Kind::kQueueBroken, .queue = queue});
  }
  void LinkChanged(bool up) override {
    Tell({.kind = VmEvent::Kind::kLinkChanged, .link_up = up});
  }

 private:
  void Tell(VmEvent event) {
    event.device = device_;
    sink_.OnEvent(event);
  }

  const std::string device_;
  VmEventSink& sink_;
};

}  // namespace annulus

#endif  // VMM_MACHINE_DEVICE_EVENTS_H_
