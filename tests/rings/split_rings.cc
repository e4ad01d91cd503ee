#include "tests/rings/split_rings.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/split_ring.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"
#include "tests/rings/rings_of.h"
#include "tests/rings/split_model.h"

namespace annulus::virtio::differential {
namespace {

using model::SplitModel;

class SplitRings : public RingsOf<SplitModel, SplitDriver> {
 public:
  SplitRings(const Case& c, uint64_t seed) : RingsOf(c, seed) {
    static_assert(sizeof(SplitModel::Descriptor) == sizeof(SplitDescriptor));
    static_assert(sizeof(SplitModel::UsedElement) == sizeof(SplitUsedElement));
    if (!real_driver()) return;
    const bool indirect = c.features.indirect;
    driver_.emplace(SplitDriverConfig{
        .descriptors = HostAs<SplitDescriptor>(kDescriptors),
        .available = HostAs<SplitAvailableHeader>(layout().driver),
        .used = HostAs<SplitUsedHeader>(layout().device),
        .size = c.size,
        .event_idx = c.features.event_idx,
        .in_order = c.features.in_order,
        .slots = slots_.data(),
        .indirect_tables =
            indirect ? HostAs<SplitDescriptor>(layout().tables) : nullptr,
        .indirect_tables_addr = layout().tables,
        .indirect_entries = indirect ? kEntries : uint16_t{0}});
  }

 private:
  using Descriptor = SplitModel::Descriptor;

  Descriptor* Memory() const { return HostAs<Descriptor>(kDescriptors); }
  // flags, idx, ring[], used_event.
  uint16_t* Available() const { return HostAs<uint16_t>(layout().driver); }
  // flags, idx; ring[]; avail_event.
  uint16_t* UsedWords() const { return HostAs<uint16_t>(layout().device); }
  SplitModel::UsedElement* UsedRing() const {
    return HostAs<SplitModel::UsedElement>(layout().device + 4);
  }
  uint16_t* AvailEvent() const {
    return HostAs<uint16_t>(layout().device + 4 + 8 * size());
  }

  bool DriverEnables() override { return driver_->EnableCallbacks(); }
  uint16_t ExpectedNotificationData() const override {
    return model_.avail.idx;
  }

  Verdict AddByRealDriver(const Buffer& buffer, bool batched) override {
    const uint16_t head = Add(buffer, batched);
    if (head == kNoDriverBuffer) return kAddedNothing;
    SplitModel::Placement placement;
    const Descriptor* d = nullptr;
    uint16_t index = head;
    for (size_t i = 0; i < buffer.size(); ++i) {
      if (index >= size()) return "next is beyond the table";
      placement.descriptors.push_back(index);
      d = &Memory()[index];
      index = d->next;
      if ((d->flags & SplitModel::kNext) == 0) break;
    }
    placement.reserved_next = d->next;
    if ((d->flags & SplitModel::kIndirect) != 0) {
      placement.table = d->addr;
      const Descriptor* in_table = HostAs<Descriptor>(d->addr);
      index = 0;
      for (size_t i = 0; i < d->len / 16; ++i) {
        placement.indices.push_back(index);
        index = in_table[index].next;
      }
      if (Verdict v = model_.MakeAvailable(buffer, placement); !v.empty()) {
        return v;
      }
      placement.reserved_next = index;
      const std::vector<Descriptor> table =
          SplitModel::Table(buffer, placement);
      return std::memcmp(in_table, table.data(),
                         table.size() * sizeof(Descriptor)) == 0
                 ? Verdict()
                 : "the indirect table is wrong";
    }
    return model_.MakeAvailable(buffer, placement);
  }

  // Any free descriptors in any order, some elements without and the rest with
  // a table, whose descriptors are in any order behind the first.
  Verdict AddByModelDriver(const Buffer& buffer, bool indirect) override {
    SplitModel::Placement placement;
    const size_t direct = indirect ? Random(buffer.size()) : buffer.size();
    const size_t descriptors = indirect ? direct + 1 : direct;
    uint16_t index = features().in_order
                         ? model_.next_in_order()
                         : static_cast<uint16_t>(Random(size()));
    std::vector<bool> chosen(size());
    while (placement.descriptors.size() < descriptors) {
      if (!model_.in_use(index) && !chosen[index]) {
        placement.descriptors.push_back(index);
        chosen[index] = true;
        if (!features().in_order && OneIn(2)) {
          index = static_cast<uint16_t>(Random(size()));
          continue;
        }
      }
      index = static_cast<uint16_t>((index + 1) % size());
    }
    placement.reserved_next = Garbage();
    placement.reserved_write = OneIn(2);
    if (indirect) {
      placement.table =
          layout().tables + kTableStride * placement.descriptors[0] + Random(9);
      for (size_t i = direct; i < buffer.size(); ++i) {
        placement.indices.push_back(static_cast<uint16_t>(i - direct));
      }
      for (size_t i = 1; !features().in_order && i < placement.indices.size();
           ++i) {
        std::swap(placement.indices[i], placement.indices[1 + Random(i)]);
      }
      const std::vector<Descriptor> table =
          SplitModel::Table(buffer, placement);
      std::memcpy(Host(*placement.table), table.data(),
                  table.size() * sizeof(Descriptor));
    }
    const size_t slot = model_.avail.idx % size();
    Verdict verdict = model_.MakeAvailable(buffer, placement);
    for (const uint16_t i : placement.descriptors) {
      Memory()[i] = model_.desc[i];
    }
    Available()[2 + slot] = model_.avail.ring[slot];
    Available()[1] = model_.avail.idx;
    return verdict;
  }

  // What the flags of one side and its event are to mean (§2.7.7.1, §2.7.10.2).
  Verdict CheckEvent(bool enabled, uint16_t flags, uint16_t event,
                     uint16_t next) const {
    if (flags > 1) return "flags are 0 or 1";
    if (features().event_idx && flags != 0) return "flags MUST be 0";
    const Notification next_one = model_.Owed(flags, event, next, 1);
    if (enabled) {
      return next_one == Notification::kRequired
                 ? Verdict()
                 : "the next notification is not asked for";
    }
    // With an event index nothing says "none": it is only left behind.
    return features().event_idx || next_one == Notification::kSuppressed
               ? Verdict()
               : "the next notification is not suppressed";
  }
  Verdict AdoptDriverEvent(bool enabled) override {
    model_.avail.flags = Available()[0];
    model_.avail.used_event = Available()[2 + size()];
    return CheckEvent(enabled, model_.avail.flags, model_.avail.used_event,
                      model_.next_used_of_driver());
  }
  Verdict AdoptDelayedDriverEvent(bool already) override {
    model_.avail.flags = Available()[0];
    model_.avail.used_event = Available()[2 + size()];
    if (model_.avail.flags != 0) return "flags MUST be 0";
    const size_t in_flight = model_.buffers_in_flight();
    return already || in_flight == 0 ||
                   model_.Owed(model_.avail.flags, model_.avail.used_event,
                               model_.next_used_of_driver(),
                               in_flight) == Notification::kRequired
               ? Verdict()
               : "no used buffer will be told of";
  }
  Verdict CompareState(const QueueState& state) const override {
    return !state.packed && state.size == size() &&
                   state.next_available == model_.next_available_of_device() &&
                   state.next_used == model_.used.idx
               ? Verdict()
               : "the saved state is wrong";
  }
  Verdict AdoptDeviceEvent(bool enabled) override {
    model_.used.flags = UsedWords()[0];
    model_.used.avail_event = *AvailEvent();
    return CheckEvent(enabled, model_.used.flags, model_.used.avail_event,
                      model_.next_available_of_device());
  }

  uint16_t AnyEvent(uint16_t next) {
    return OneIn(4) ? Garbage() : static_cast<uint16_t>(next + Random(4));
  }
  void ModelDriverEvent() override {
    if (features().event_idx) {
      model_.avail.used_event = AnyEvent(model_.next_used_of_driver());
      Available()[2 + size()] = model_.avail.used_event;
    } else {
      model_.avail.flags = static_cast<uint16_t>(Random(2));
      Available()[0] = model_.avail.flags;
    }
  }
  void ModelDeviceEvent() override {
    if (features().event_idx) {
      model_.used.avail_event = AnyEvent(model_.next_available_of_device());
      *AvailEvent() = model_.used.avail_event;
    } else {
      model_.used.flags = static_cast<uint16_t>(Random(2));
      UsedWords()[0] = model_.used.flags;
    }
  }

  std::vector<bool> OwnUsedElements() const override {
    std::vector<bool> own(model_.completed().size(), true);
    if (!features().in_order) return own;
    for (size_t i = 0; i < own.size(); ++i) {
      const uint32_t id = UsedRing()[(model_.used.idx + i) % size()].id;
      for (; i < own.size() && model_.completed()[i].id != id; ++i) {
        own[i] = false;
      }
    }
    return own;
  }

  Verdict ExposeByModelDevice(const std::vector<bool>& own) override {
    const uint16_t from = model_.used.idx;
    if (Verdict v = model_.ExposeUsed(own); !v.empty()) return v;
    for (uint16_t i = from; i != model_.used.idx; ++i) {
      UsedRing()[i % size()] = model_.used.ring[i % size()];
    }
    UsedWords()[1] = model_.used.idx;
    return "";
  }

  Verdict Compare(bool everything) const override {
    const SplitModel::Available& avail = model_.avail;
    if (Available()[0] != avail.flags || Available()[1] != avail.idx ||
        Available()[2 + size()] != avail.used_event) {
      return "the available ring's flags, idx or used_event are wrong";
    }
    const SplitModel::UsedRing& used = model_.used;
    if (UsedWords()[0] != used.flags || UsedWords()[1] != used.idx ||
        *AvailEvent() != used.avail_event) {
      return "the used ring's flags, idx or avail_event are wrong";
    }
    // Entries from idx on are not the driver's yet, and may be there already.
    const size_t staged = real_device() ? model_.completed().size() : 0;
    if (!everything) {
      const size_t at = (avail.idx - 1u) % size();
      const size_t back = (used.idx - 1u) % size();
      if (Available()[2 + at] != avail.ring[at]) return "avail.ring is wrong";
      if (staged == 0 && std::memcmp(&UsedRing()[back], &used.ring[back], 8)) {
        return "used.ring is wrong";
      }
      return "";
    }
    if (std::memcmp(&Memory()[0], &model_.desc[0],
                    size() * sizeof(Descriptor)) != 0) {
      return "the descriptor table is wrong";
    }
    if (std::memcmp(&Available()[2], &avail.ring[0], 2 * size()) != 0) {
      return "avail.ring is wrong";
    }
    for (size_t i = 0; i < size() - staged; ++i) {
      const size_t at = (used.idx + staged + i) % size();
      if (UsedRing()[at].id != used.ring[at].id ||
          UsedRing()[at].len != used.ring[at].len) {
        return absl::StrCat("used.ring[", at, "] is wrong");
      }
    }
    return "";
  }
};

}  // namespace

std::unique_ptr<Rings> MakeSplitRings(const Case& c, uint64_t seed) {
  return std::make_unique<SplitRings>(c, seed);
}

}  // namespace annulus::virtio::differential
