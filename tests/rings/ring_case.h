#ifndef TESTS_RINGS_RING_CASE_H_
#define TESTS_RINGS_RING_CASE_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "tests/rings/ring_model.h"

// What a pair of rings that differential_test compares with the model is like,
// and where it lies in guest memory.

namespace annulus::virtio::differential {

enum class Pair { kBothReal, kRealDevice, kRealDriver };

struct Case {
  bool packed = false;
  model::Features features;
  Pair pair = Pair::kBothReal;
  uint16_t size = 0;
};

inline std::string Name(const Case& c) {
  constexpr const char* kPairs[] = {"BothReal", "RealDevice", "RealDriver"};
  return absl::StrCat(c.packed ? "Packed" : "Split",
                      c.features.event_idx ? "EventIdx" : "",
                      c.features.indirect ? "Indirect" : "",
                      c.features.in_order ? "InOrder" : "",
                      kPairs[static_cast<int>(c.pair)], c.size);
}

// Guest-physical places. Tables of the real driver have kEntries descriptors,
// so that it uses longer lists without a table; those of the model's driver lie
// wherever they fit.
inline constexpr uint64_t kDescriptors = 0x10000;
inline constexpr uint16_t kEntries = 4;
inline constexpr uint64_t kTableStride = 16 * 8 + 8;
inline constexpr uint32_t kMaxElements = 40;

inline constexpr char kAddedNothing[] = "the driver added nothing";

struct Layout {
  explicit Layout(uint32_t size)
      : driver(kDescriptors + 16 * size),
        device(driver + (SplitAvailableRingBytes(size) + 15) / 16 * 16),
        tables(device + (SplitUsedRingBytes(size) + 15) / 16 * 16),
        end((tables + kTableStride * size + 0xffff) & ~uint64_t{0xfff}) {}
  uint64_t driver;
  uint64_t device;
  uint64_t tables;
  uint64_t end;  // Of guest RAM.
};

inline QueueConfig ConfigOf(const Case& c) {
  const Layout layout(c.size);
  QueueConfig config{.size = c.size,
                     .descriptor = memory::GuestAddress(kDescriptors),
                     .driver = memory::GuestAddress(layout.driver),
                     .device = memory::GuestAddress(layout.device),
                     .features = FeatureSet::Of(kFeatureVersion1)};
  if (c.packed) config.features.Add(kFeatureRingPacked);
  if (c.features.event_idx) config.features.Add(kFeatureEventIdx);
  if (c.features.indirect) config.features.Add(kFeatureIndirectDesc);
  if (c.features.in_order) config.features.Add(kFeatureInOrder);
  return config;
}

}  // namespace annulus::virtio::differential

#endif  // TESTS_RINGS_RING_CASE_H_
