#ifndef VMM_MACHINE_DEVICE_COUNTERS_H_
#define VMM_MACHINE_DEVICE_COUNTERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "vmm/counter_sample.h"

namespace annulus {

// Appends what one device has counted. Any thread.
using CounterSource = std::function<void(std::vector<CounterSample>&)>;

// Those of a device that is called `name`; it outlives what they return.
CounterSource CountersOf(const std::string& name,
                         const virtio::NetDevice& device, uint16_t queue_pairs);
CounterSource CountersOf(const std::string& name,
                         const virtio::VsockDevice& device);
CounterSource CountersOf(const std::string& name,
                         const virtio::RngDevice& device);
// Another process serves it, and counts the rest.
CounterSource CountersOf(const std::string& name,
                         const vhost_user::FrontEndDevice& device);

}  // namespace annulus

#endif  // VMM_MACHINE_DEVICE_COUNTERS_H_
