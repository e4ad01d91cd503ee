#include "tests/interleaving/scenario.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "tests/interleaving/automaton.h"
#include "tests/interleaving/device_side.h"
#include "tests/interleaving/driver_side.h"
#include "tests/interleaving/layout.h"
#include "tests/interleaving/locations.h"
#include "tests/interleaving/recorder.h"

namespace annulus::interleaving {
namespace {

using memory::GuestAddress;

template <typename T>
T* At(Locations& locations, uint32_t offset) {
  return static_cast<T*>(static_cast<void*>(locations.ram() + offset));
}

std::unique_ptr<Program> MakeDriver(const Scenario& scenario,
                                    Locations& locations, Recorder& recorder) {
  const bool indirect = scenario.shape == Shape::kIndirect;
  const uint16_t entries = indirect ? 2 : 0;
  if (scenario.packed) {
    using virtio::PackedDescriptor;
    using virtio::PackedEventSuppression;
    return std::make_unique<DriverSide<virtio::PackedDriver>>(
        scenario, locations, recorder,
        virtio::PackedDriverConfig{
            .ring = At<PackedDescriptor>(locations, kDescriptors),
            .driver_event = At<PackedEventSuppression>(locations, kDriverArea),
            .device_event = At<PackedEventSuppression>(locations, kDeviceArea),
            .size = scenario.size,
            .event_idx = scenario.driver_event_idx,
            .in_order = scenario.in_order,
            .indirect_tables =
                indirect ? At<PackedDescriptor>(locations, kTables) : nullptr,
            .indirect_tables_addr = kRamStart + kTables,
            .indirect_entries = entries});
  }
  using virtio::SplitDescriptor;
  return std::make_unique<DriverSide<virtio::SplitDriver>>(
      scenario, locations, recorder,
      virtio::SplitDriverConfig{
          .descriptors = At<SplitDescriptor>(locations, kDescriptors),
          .available = At<virtio::SplitAvailableHeader>(locations, kDriverArea),
          .used = At<virtio::SplitUsedHeader>(locations, kDeviceArea),
          .size = scenario.size,
          .event_idx = scenario.driver_event_idx,
          .in_order = scenario.in_order,
          .indirect_tables =
              indirect ? At<SplitDescriptor>(locations, kTables) : nullptr,
          .indirect_tables_addr = kRamStart + kTables,
          .indirect_entries = entries});
}

virtio::QueueConfig ConfigOf(const Scenario& scenario) {
  virtio::QueueConfig config{
      .size = scenario.size,
      .descriptor = GuestAddress(kRamStart + kDescriptors),
      .driver = GuestAddress(kRamStart + kDriverArea),
      .device = GuestAddress(kRamStart + kDeviceArea),
      .features = virtio::FeatureSet::Of(virtio::kFeatureVersion1)};
  if (scenario.packed) config.features.Add(virtio::kFeatureRingPacked);
  if (scenario.device_event_idx) config.features.Add(virtio::kFeatureEventIdx);
  if (scenario.in_order) config.features.Add(virtio::kFeatureInOrder);
  if (scenario.shape == Shape::kIndirect) {
    config.features.Add(virtio::kFeatureIndirectDesc);
  }
  return config;
}

// nullopt: an event was loaded without a fence before, though trusted not to.
std::optional<Exploration> TryCheck(const Scenario& scenario, bool trust_fences,
                                    size_t max_states) {
  ANNULUS_CHECK(scenario.size <= kMaxSize);
  Locations locations;
  DescribeMemory(scenario, locations);
  Recorder driver_recorder(locations, scenario.mutation);
  Recorder device_recorder(locations, scenario.mutation);
  const std::unique_ptr<Program> driver =
      MakeDriver(scenario, locations, driver_recorder);

  std::vector<memory::GuestRegion> regions = {{.start = GuestAddress(kRamStart),
                                               .size = Locations::kBytes,
                                               .host = locations.ram()}};
  const absl::StatusOr<memory::GuestMemory> memory =
      memory::GuestMemory::Create(std::move(regions));
  ANNULUS_CHECK(memory.ok());
  const absl::StatusOr<virtio::Virtqueue> queue =
      virtio::Virtqueue::Create(*memory, ConfigOf(scenario));
  ANNULUS_CHECK(queue.ok());
  DeviceSide device(scenario, device_recorder, *queue);

  Automaton driver_automaton(*driver, driver_recorder);
  Automaton device_automaton(device, device_recorder);
  Exploration exploration =
      Explore(locations, driver_automaton, device_automaton,
              {.model = scenario.model,
               .trust_fences = trust_fences,
               .reduce = !scenario.every_order,
               .max_states = max_states});
  if (trust_fences && (driver_recorder.saw_unfenced_load() ||
                       device_recorder.saw_unfenced_load())) {
    return std::nullopt;
  }
  return exploration;
}

}  // namespace

std::string Scenario::Name() const {
  std::string name = absl::StrCat(packed ? "packed" : "split", " size ", size);
  const char* suppression =
      driver_event_idx ? (device_event_idx ? "event idx" : "driver event idx")
                       : (device_event_idx ? "device event idx" : "flags");
  absl::StrAppend(&name, ", ", suppression);
  switch (shape) {
    case Shape::kSingle:
      absl::StrAppend(&name, ", single");
      break;
    case Shape::kReadable:
      absl::StrAppend(&name, ", readable");
      break;
    case Shape::kPair:
      absl::StrAppend(&name, ", pairs");
      break;
    case Shape::kMixed:
      absl::StrAppend(&name, ", mixed");
      break;
    case Shape::kIndirect:
      absl::StrAppend(&name, ", indirect");
      break;
  }
  absl::StrAppend(&name, ", ",
                  buffers == 0 ? "any number" : absl::StrCat(buffers));
  if (device_stops) absl::StrAppend(&name, ", stops");
  if (device_reorders) absl::StrAppend(&name, ", reorders");
  if (device_polls) absl::StrAppend(&name, ", polls");
  if (batch != 0) absl::StrAppend(&name, ", batches of ", batch);
  if (in_order) absl::StrAppend(&name, ", in order");
  if (device_takes) absl::StrAppend(&name, ", Take");
  if (driver_batches) absl::StrAppend(&name, ", AddBatched");
  if (driver_delays) absl::StrAppend(&name, ", delayed callbacks");
  if (driver_stays_enabled) absl::StrAppend(&name, ", stays enabled");
  if (model == Model::kX86) absl::StrAppend(&name, ", x86");
  return name;
}

Exploration Check(const Scenario& scenario, size_t max_states) {
  std::optional<Exploration> exploration =
      TryCheck(scenario, !scenario.every_order, max_states);
  if (!exploration.has_value()) {
    exploration = TryCheck(scenario, false, max_states);
  }
  return *std::move(exploration);
}

}  // namespace annulus::interleaving
