#include "devices/virtio/transport/device_config.h"

#include <algorithm>

#include "base/checked_math.h"

namespace annulus::virtio {

void DeviceConfig::Read(uint64_t offset, absl::Span<uint8_t> data) {
  const uint64_t size = device_.config_size();
  const uint64_t inside =
      offset < size ? std::min<uint64_t>(data.size(), size - offset) : 0;
  std::fill(data.begin() + inside, data.end(), uint8_t{0});
  if (inside == 0) return;
  device_.ReadConfig(static_cast<uint32_t>(offset), data.first(inside));
  // After the data: a change that these bytes show is then in the generation.
  const uint32_t generation = device_.config_generation();
  if (seen_generation_.exchange(generation, std::memory_order_acq_rel) !=
      generation) {
    generation_.fetch_add(1, std::memory_order_acq_rel);
  }
}

void DeviceConfig::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  const uint64_t size = device_.config_size();
  if (data.empty() || !RangeFits<uint64_t>(offset, data.size(), size)) return;
  device_.WriteConfig(static_cast<uint32_t>(offset), data);
}

uint32_t DeviceConfig::Generation() const {
  return generation_.load(std::memory_order_acquire);
}

}  // namespace annulus::virtio
