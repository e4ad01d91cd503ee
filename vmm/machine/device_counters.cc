#include "vmm/machine/device_counters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus {
namespace {

using Samples = std::vector<CounterSample>;

// Makes samples of what VisitCounters() finds.
template <typename Counters>
void AppendQueue(const std::string& device, const std::string& queue,
                 const Counters& counters, Samples& samples) {
  VisitCounters(counters, [&](absl::string_view name, absl::string_view reason,
                              uint64_t value) {
    samples.push_back({.device = device,
                       .queue = queue,
                       .name = std::string(name),
                       .reason = std::string(reason),
                       .value = value});
  });
}

void Append(const std::string& device, const std::string& queue,
            const std::string& name, uint64_t value, Samples& samples) {
  samples.push_back({.device = device,
                     .queue = queue,
                     .name = name,
                     .reason = {},
                     .value = value});
}

void AppendGauge(const std::string& device, const std::string& name,
                 uint64_t value, Samples& samples) {
  Append(device, {}, name, value, samples);
  samples.back().gauge = true;
}

}  // namespace

CounterSource CountersOf(const std::string& name,
                         const virtio::NetDevice& device,
                         uint16_t queue_pairs) {
  return [name, &device, queue_pairs](Samples& samples) {
    for (uint16_t i = 0; i < 2 * queue_pairs; ++i) {
      const std::string queue = absl::StrCat(i % 2 == 0 ? "rx" : "tx", i / 2);
      AppendQueue(name, queue, device.counters(i), samples);
      Append(name, queue, "notifications", device.notifications(i), samples);
    }
    AppendGauge(name, "link_up", device.link_up() ? 1 : 0, samples);
  };
}

CounterSource CountersOf(const std::string& name,
                         const virtio::VsockDevice& device) {
  return [name, &device](Samples& samples) {
    AppendQueue(name, "rx", device.rx_counters(), samples);
    AppendQueue(name, "tx", device.tx_counters(), samples);
    AppendQueue(name, "dgram_rx", device.dgram_rx_counters(), samples);
    AppendQueue(name, "dgram_tx", device.dgram_tx_counters(), samples);
    AppendGauge(name, "connections_open", device.connections(), samples);
  };
}

CounterSource CountersOf(const std::string& name,
                         const virtio::RngDevice& device) {
  return [name, &device](Samples& samples) {
    Append(name, {}, "bytes", device.bytes(), samples);
    Append(name, {}, "entropy_failures", device.entropy_failures(), samples);
    Append(name, {}, "violations", device.violations(), samples);
  };
}

CounterSource CountersOf(const std::string& name,
                         const vhost_user::FrontEndDevice& device) {
  return [name, &device](Samples& samples) {
    Append(name, {}, "back_end_connections", device.connections(), samples);
  };
}

}  // namespace annulus
