#include "tests/rings/packed_rings.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/packed_ring.h"
#include "tests/rings/packed_model.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"
#include "tests/rings/rings_of.h"

namespace annulus::virtio::differential {
namespace {

using model::PackedModel;

class PackedRings : public RingsOf<PackedModel, PackedDriver> {
 public:
  PackedRings(const Case& c, uint64_t seed) : RingsOf(c, seed) {
    static_assert(sizeof(PackedModel::Descriptor) == sizeof(PackedDescriptor));
    static_assert(sizeof(PackedModel::EventSuppression) == 4);
    if (!real_driver()) return;
    const bool indirect = c.features.indirect;
    driver_.emplace(PackedDriverConfig{
        .ring = HostAs<PackedDescriptor>(kDescriptors),
        .driver_event = HostAs<PackedEventSuppression>(layout().driver),
        .device_event = HostAs<PackedEventSuppression>(layout().device),
        .size = c.size,
        .event_idx = c.features.event_idx,
        .in_order = c.features.in_order,
        .slots = slots_.data(),
        .indirect_tables =
            indirect ? HostAs<PackedDescriptor>(layout().tables) : nullptr,
        .indirect_tables_addr = layout().tables,
        .indirect_entries = indirect ? kEntries : uint16_t{0}});
  }

 private:
  using Descriptor = PackedModel::Descriptor;

  Descriptor* Memory() const { return HostAs<Descriptor>(kDescriptors); }

  bool DriverEnables() override {
    return OneIn(3) ? driver_->EnableEveryCallback()
                    : driver_->EnableCallbacks();
  }
  uint16_t ExpectedNotificationData() const override {
    return model_.EventDesc(model_.next_available());
  }

  Verdict AddByRealDriver(const Buffer& buffer, bool batched) override {
    const uint16_t id = Add(buffer, batched);
    if (id == kNoDriverBuffer) return kAddedNothing;
    PackedModel::Placement placement{
        .id = id, .table = std::nullopt, .reserved_ids = {}};
    const uint32_t place = model_.next_available();
    if (UsesTable(buffer)) {
      placement.table = Memory()[model_.Offset(place)].addr;
      const std::vector<Descriptor> table = PackedModel::Table(buffer, 0);
      if (std::memcmp(Host(*placement.table), table.data(),
                      table.size() * sizeof(Descriptor)) != 0) {
        return "the indirect table is wrong";
      }
    }
    placement.reserved_ids.assign(buffer.size(), 0);  // What it writes there.
    return model_.MakeAvailable(buffer, placement);
  }

  // Any id that is not in flight, a table wherever it fits, and garbage where
  // nobody looks.
  Verdict AddByModelDriver(const Buffer& buffer, bool indirect) override {
    PackedModel::Placement placement{.id = Garbage(),
                                     .table = std::nullopt,
                                     .reserved_ids = {},
                                     .reserved_write = OneIn(2)};
    while (placement.reserved_ids.size() < buffer.size()) {
      placement.reserved_ids.push_back(Garbage());
    }
    const uint32_t place = model_.next_available();
    if (indirect) {
      placement.table =
          layout().tables + kTableStride * model_.Offset(place) + Random(9);
      const std::vector<Descriptor> table =
          PackedModel::Table(buffer, Garbage());
      std::memcpy(Host(*placement.table), table.data(),
                  table.size() * sizeof(Descriptor));
    }
    Verdict verdict = model_.MakeAvailable(buffer, placement);
    for (int i = 0; verdict == "the id is in flight" && i < 100; ++i) {
      placement.id = Garbage();
      verdict = model_.MakeAvailable(buffer, placement);
    }
    Write(place, model_.next_available());
    return verdict;
  }

  // Copies the descriptors [from, to) of the model into memory.
  void Write(uint32_t from, uint32_t to) const {
    for (uint32_t place = from; place != to; place = model_.After(place, 1)) {
      const uint16_t offset = model_.Offset(place);
      Memory()[offset] = model_.ring[offset];
    }
  }

  Verdict AdoptAny(uint64_t addr, PackedModel::EventSuppression& event) const {
    event = *HostAs<PackedModel::EventSuppression>(addr);
    if (event.flags > PackedModel::kDesc) return "reserved event flags";
    return event.flags == PackedModel::kDesc && !features().event_idx
               ? "RING_EVENT_FLAGS_DESC without VIRTIO_F_EVENT_IDX"
               : Verdict();
  }
  Verdict Adopt(bool enabled, uint64_t addr, uint32_t next,
                PackedModel::EventSuppression& event) const {
    if (Verdict v = AdoptAny(addr, event); !v.empty()) return v;
    const Notification next_one = model_.Owed(event, next, 1);
    return next_one == (enabled ? Notification::kRequired
                                : Notification::kSuppressed)
               ? Verdict()
               : "the event suppression structure does not mean what it should";
  }
  Verdict AdoptDriverEvent(bool enabled) override {
    return Adopt(enabled, layout().driver, model_.next_used_of_driver(),
                 model_.driver_event);
  }
  Verdict AdoptDelayedDriverEvent(bool already) override {
    if (Verdict v = AdoptAny(layout().driver, model_.driver_event);
        !v.empty()) {
      return v;
    }
    const uint32_t in_flight = size() - model_.free_descriptors();
    return already || in_flight == 0 ||
                   model_.Owed(model_.driver_event,
                               model_.next_used_of_driver(),
                               in_flight) == Notification::kRequired
               ? Verdict()
               : "no used buffer will be told of";
  }
  Verdict CompareState(const QueueState& state) const override {
    const uint32_t available = model_.next_available_of_device();
    const uint32_t used = model_.next_used();
    return state.packed && state.size == size() &&
                   state.next_available == model_.Offset(available) &&
                   state.available_wrap == model_.WrapCounter(available) &&
                   state.next_used == model_.Offset(used) &&
                   state.used_wrap == model_.WrapCounter(used)
               ? Verdict()
               : "the saved state is wrong";
  }
  Verdict AdoptDeviceEvent(bool enabled) override {
    return Adopt(enabled, layout().device, model_.next_available_of_device(),
                 model_.device_event);
  }

  // Any of the modes, and any descriptor near or far.
  PackedModel::EventSuppression AnyEvent(uint32_t next) {
    PackedModel::EventSuppression event;
    event.flags = static_cast<uint16_t>(Random(features().event_idx ? 3 : 2));
    const uint32_t ahead = OneIn(2) ? Random(4) : Random(2 * size());
    event.desc = model_.EventDesc(model_.After(next, ahead));
    return event;
  }
  void ModelDriverEvent() override {
    model_.driver_event = AnyEvent(model_.next_used_of_driver());
    std::memcpy(Host(layout().driver), &model_.driver_event, 4);
  }
  void ModelDeviceEvent() override {
    model_.device_event = AnyEvent(model_.next_available_of_device());
    std::memcpy(Host(layout().device), &model_.device_event, 4);
  }

  std::vector<bool> OwnUsedElements() const override {
    std::vector<bool> own(model_.completed().size(), true);
    if (!features().in_order) return own;
    uint32_t place = model_.next_used();
    for (size_t i = 0; i < own.size(); ++i) {
      const uint16_t id = Memory()[model_.Offset(place)].id;
      for (; i < own.size() && model_.completed()[i].id != id; ++i) {
        own[i] = false;
        place = model_.After(place, model_.completed()[i].descriptors.size());
      }
      if (i < own.size()) {
        place = model_.After(place, model_.completed()[i].descriptors.size());
      }
    }
    return own;
  }

  Verdict ExposeByModelDevice(const std::vector<bool>& own) override {
    const uint32_t from = model_.next_used();
    if (Verdict v = model_.ExposeUsed(own); !v.empty()) return v;
    const uint32_t to = model_.next_used();
    for (uint32_t place = from; place != to; place = model_.After(place, 1)) {
      Descriptor& d = model_.ring[model_.Offset(place)];
      const bool avail = (d.flags & PackedModel::kAvail) != 0;
      const bool used = (d.flags & PackedModel::kUsed) != 0;
      if (avail != used) continue;  // Skipped: still the driver's words.
      // "Element Address is unused. ... Element Length is reserved for used
      // descriptors without the VIRTQ_DESC_F_WRITE flag, and is ignored by
      // drivers." (§2.8.4) "VIRTQ_DESC_F_NEXT is reserved in used descriptors,
      // and should be ignored by drivers." (§2.8.6)
      d.addr = Garbage();
      if ((d.flags & PackedModel::kWrite) == 0) d.len = Garbage();
      if (OneIn(2)) d.flags |= PackedModel::kNext;
    }
    Write(from, to);
    return "";
  }

  Verdict Compare(bool everything) const override {
    if (std::memcmp(Host(layout().driver), &model_.driver_event, 4) != 0) {
      return "the driver event suppression structure is wrong";
    }
    if (std::memcmp(Host(layout().device), &model_.device_event, 4) != 0) {
      return "the device event suppression structure is wrong";
    }
    // Between Push() and Publish() the device "MAY reorder descriptor writes
    // once they are started" (§2.8.12), but the driver, which looks at the
    // flags of the next used descriptor alone, sees nothing of it.
    size_t staged = 0;
    for (const RingModel::InFlight& in_flight : model_.completed()) {
      staged += in_flight.descriptors.size();
    }
    if (staged != 0 && real_device()) {
      const uint16_t first = model_.Offset(model_.next_used());
      if (Memory()[first].flags != model_.ring[first].flags) {
        return "a used descriptor is visible before it is published";
      }
    } else {
      staged = 0;
    }
    const uint32_t from = model_.next_used();
    if (everything) {
      return CompareRing(model_.After(from, staged), size() - staged);
    }
    // What the last steps wrote lies before these two places.
    constexpr uint32_t kWindow = 256;
    if (staged > size() - kWindow) return "";
    if (Verdict verdict =
            CompareRing(model_.After(from, 2 * size() - kWindow), kWindow);
        !verdict.empty() || staged != 0) {
      return verdict;
    }
    return CompareRing(
        model_.After(model_.next_available(), 2 * size() - kWindow), kWindow);
  }

  // `count` descriptors from `place` on, which may go across the end.
  Verdict CompareRing(uint32_t place, size_t count) const {
    const size_t first = model_.Offset(place);
    const size_t to_end = std::min(count, size() - first);
    if (std::memcmp(&Memory()[first], &model_.ring[first],
                    to_end * sizeof(Descriptor)) != 0 ||
        std::memcmp(&Memory()[0], &model_.ring[0],
                    (count - to_end) * sizeof(Descriptor)) != 0) {
      return Difference();
    }
    return "";
  }

  Verdict Difference() const {
    for (uint32_t i = 0; i < size(); ++i) {
      const Descriptor& a = Memory()[i];
      const Descriptor& e = model_.ring[i];
      if (std::memcmp(&a, &e, sizeof(a)) != 0) {
        return absl::StrCat("descriptor ", i, " has addr ", a.addr, " len ",
                            a.len, " id ", a.id, " flags ", a.flags, ", not ",
                            e.addr, " ", e.len, " ", e.id, " ", e.flags);
      }
    }
    return "";
  }
};

}  // namespace

std::unique_ptr<Rings> MakePackedRings(const Case& c, uint64_t seed) {
  return std::make_unique<PackedRings>(c, seed);
}

}  // namespace annulus::virtio::differential
