#include "tests/interleaving/layout.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"

namespace annulus::interleaving {
namespace {

using virtio::PackedDescriptor;
using virtio::SplitAvailableHeader;
using virtio::SplitDescriptor;
using virtio::SplitUsedElement;
using virtio::SplitUsedHeader;

void DescribePacked(uint16_t size, Locations& locations) {
  for (uint32_t i = 0; i < size; ++i) {
    const uint32_t at = kDescriptors + i * sizeof(PackedDescriptor);
    const std::string name = absl::StrCat("ring[", i, "].");
    locations.AddData(at + offsetof(PackedDescriptor, addr), 8, name + "addr");
    locations.AddData(at + offsetof(PackedDescriptor, len), 4, name + "len");
    locations.AddData(at + offsetof(PackedDescriptor, id), 2, name + "id");
    locations.AddSync(at + offsetof(PackedDescriptor, flags), 2,
                      name + "flags");
  }
  locations.AddEvent(kDriverArea, 4, "driver_event");
  locations.AddEvent(kDeviceArea, 4, "device_event");
}

void DescribeSplit(uint16_t size, Locations& locations) {
  for (uint32_t i = 0; i < size; ++i) {
    const uint32_t at = kDescriptors + i * sizeof(SplitDescriptor);
    const std::string name = absl::StrCat("desc[", i, "].");
    locations.AddData(at + offsetof(SplitDescriptor, addr), 8, name + "addr");
    locations.AddData(at + offsetof(SplitDescriptor, len), 4, name + "len");
    locations.AddData(at + offsetof(SplitDescriptor, flags), 2, name + "flags");
    locations.AddData(at + offsetof(SplitDescriptor, next), 2, name + "next");
  }
  locations.AddEvent(kDriverArea + offsetof(SplitAvailableHeader, flags), 2,
                     "available.flags");
  locations.AddSync(kDriverArea + offsetof(SplitAvailableHeader, idx), 2,
                    "available.idx");
  uint32_t at = kDriverArea + sizeof(SplitAvailableHeader);
  for (uint32_t i = 0; i < size; ++i, at += 2) {
    locations.AddData(at, 2, absl::StrCat("available.ring[", i, "]"));
  }
  locations.AddEvent(at, 2, "available.used_event");
  locations.AddEvent(kDeviceArea + offsetof(SplitUsedHeader, flags), 2,
                     "used.flags");
  locations.AddSync(kDeviceArea + offsetof(SplitUsedHeader, idx), 2,
                    "used.idx");
  at = kDeviceArea + sizeof(SplitUsedHeader);
  for (uint32_t i = 0; i < size; ++i, at += sizeof(SplitUsedElement)) {
    locations.AddData(at + offsetof(SplitUsedElement, id), 4,
                      absl::StrCat("used.ring[", i, "].id"));
    locations.AddData(at + offsetof(SplitUsedElement, len), 4,
                      absl::StrCat("used.ring[", i, "].len"));
  }
  locations.AddEvent(at, 2, "used.avail_event");
}

// The fields of an indirect table's descriptors, which one side owns.
void DescribeTables(const Scenario& scenario, Locations& locations) {
  for (uint32_t i = 0; i < 2u * scenario.size; ++i) {
    const uint32_t at = kTables + i * sizeof(SplitDescriptor);
    const std::string name = absl::StrCat("table[", i / 2, "][", i % 2, "].");
    locations.AddData(at, 8, name + "addr");
    locations.AddData(at + 8, 4, name + "len");
    locations.AddData(at + 12, 2, name + (scenario.packed ? "id" : "flags"));
    locations.AddData(at + 14, 2, name + (scenario.packed ? "flags" : "next"));
  }
}

}  // namespace

void DescribeMemory(const Scenario& scenario, Locations& locations) {
  if (scenario.packed) {
    DescribePacked(scenario.size, locations);
  } else {
    DescribeSplit(scenario.size, locations);
  }
  if (scenario.shape == Shape::kIndirect) DescribeTables(scenario, locations);
  for (uint32_t i = 0; i < scenario.size; ++i) {
    locations.AddData(kReadableWords + 8 * i, 8,
                      absl::StrCat("buffer[", i, "].readable"));
  }
  for (uint32_t i = 0; i < scenario.size; ++i) {
    locations.AddData(kWritableWords + 8 * i, 8,
                      absl::StrCat("buffer[", i, "].writable"));
  }
}

}  // namespace annulus::interleaving
