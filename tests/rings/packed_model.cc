#include "tests/rings/packed_model.h"

#include <utility>

namespace annulus::virtio::model {

Verdict PackedModel::MakeAvailable(const Buffer& buffer,
                                   const Placement& placement) {
  // "The driver MUST NOT set the VIRTQ_DESC_F_INDIRECT flag unless the
  // VIRTIO_F_INDIRECT_DESC feature was negotiated." (§2.8.19)
  if (placement.table.has_value() && !features().indirect) {
    return "VIRTIO_F_INDIRECT_DESC was not negotiated (§2.8.19)";
  }
  const size_t descriptors = placement.table.has_value() ? 1 : buffer.size();
  if (Verdict verdict = CheckBuffer(buffer, placement.id, descriptors);
      !verdict.empty()) {
    return verdict;
  }
  InFlight in_flight{.id = placement.id, .buffer = buffer, .descriptors = {}};
  for (size_t i = 0; i < descriptors; ++i) {
    const uint32_t place = After(next_available_, i);
    Descriptor& d = ring[Offset(place)];
    uint16_t kind = 0;
    if (placement.table.has_value()) {
      // "addr and len refer to the indirect table address and length in bytes";
      // "VIRTQ_DESC_F_WRITE is reserved" (§2.8.7)
      d.addr = *placement.table;
      d.len = static_cast<uint32_t>(buffer.size() * sizeof(Descriptor));
      kind = placement.reserved_write ? kIndirect | kWrite : kIndirect;
    } else {
      d.addr = buffer[i].addr;  // §2.8.21.1
      d.len = buffer[i].len;
      if (buffer[i].writable) kind |= kWrite;
      // "setting the VIRTQ_DESC_F_NEXT bit in Flags for all but the last
      // available descriptor" (§2.8.6)
      if (i + 1 < descriptors) kind |= kNext;
    }
    // "Buffer ID is included in the last descriptor in the list." (§2.8.6)
    d.id = placement.id;
    if (i + 1 < descriptors) d.id = placement.reserved_ids.at(i);
    // "the driver sets the VIRTQ_DESC_F_AVAIL bit in Flags to match the
    // internal Driver Ring Wrap Counter. It also sets the VIRTQ_DESC_F_USED bit
    // to match the inverse value" (§2.8.1)
    d.flags = static_cast<uint16_t>(kind | (WrapCounter(place) ? kAvail : 0) |
                                    (WrapCounter(place) ? 0 : kUsed));
    in_flight.descriptors.push_back(Offset(place));
  }
  AddAvailable(std::move(in_flight));
  next_available_ = After(next_available_, descriptors);
  made_available_ += descriptors;
  return "";
}

std::vector<PackedModel::Descriptor> PackedModel::Table(const Buffer& buffer,
                                                        uint16_t reserved_id) {
  std::vector<Descriptor> table;
  for (const Element& element : buffer) {
    // "The VIRTQ_DESC_F_WRITE flags bit is the only valid flag for descriptors
    // in the indirect table." (§2.8.7)
    table.push_back({.addr = element.addr,
                     .len = element.len,
                     .id = reserved_id,
                     .flags = element.writable ? kWrite : uint16_t{0}});
  }
  return table;
}

uint32_t PackedModel::next_available_of_device() const {
  size_t waiting = 0;
  for (const InFlight& in_flight : available()) {
    waiting += in_flight.descriptors.size();
  }
  return After(next_available_, 2 * size() - waiting);
}

void PackedModel::WriteUsed(const InFlight& last, size_t /*buffers*/,
                            size_t descriptors) {
  Descriptor& d = ring[Offset(next_used_)];
  // "Element Address is unused. Element Length specifies the length of the
  // buffer that has been initialized (written to) by the device." (§2.8.4)
  d.len = last.written;
  d.id = last.id;
  // "the device sets the VIRTQ_DESC_F_USED bit in Flags to match the internal
  // Device Ring Wrap Counter. It also sets the VIRTQ_DESC_F_AVAIL bit to match
  // the same value." (§2.8.1) VIRTQ_DESC_F_WRITE tells "whether any data has
  // been written by the device" (§2.8.3).
  d.flags = static_cast<uint16_t>((WrapCounter(next_used_) ? kAvail : 0) |
                                  (WrapCounter(next_used_) ? kUsed : 0) |
                                  (last.written != 0 ? kWrite : 0));
  // "The device only writes out a single used descriptor for the whole list. It
  // then skips forward according to the number of descriptors in the list."
  // (§2.8.6) In order: "according to the size of the batch" (§2.8.8).
  next_used_ = After(next_used_, descriptors);
  made_used_ += descriptors;
}

void PackedModel::Freed(const InFlight& in_flight) {
  next_used_of_driver_ =
      After(next_used_of_driver_, in_flight.descriptors.size());
}

Notification PackedModel::Owed(const EventSuppression& event, uint32_t place,
                               size_t descriptors) const {
  if (descriptors == 0) return Notification::kSuppressed;
  switch (event.flags & 3) {
    case kEnable:
      return Notification::kRequired;
    case kDisable:
      return Notification::kSuppressed;
    case kDesc: {
      // "Only valid if VIRTIO_F_EVENT_IDX has been negotiated." (§2.8.10)
      if (!features().event_idx) return Notification::kOptional;
      const uint32_t offset = event.desc & 0x7fff;
      if (offset >= size()) return Notification::kOptional;
      // "Event will only trigger when Ring Wrap Counter matches this value and
      // a descriptor is made available/used respectively." (§2.8.10)
      for (size_t i = 0; i < descriptors; ++i) {
        if (EventDesc(After(place, i)) == event.desc) {
          return Notification::kRequired;
        }
      }
      return Notification::kSuppressed;
    }
    default:  // "The value 0x3 is reserved" (§2.8.10)
      return Notification::kOptional;
  }
}

// "After writing out some descriptors, both the device and the driver are
// expected to consult the relevant structure" (§2.8.10)
Notification PackedModel::AvailableNotification() {
  const size_t count = std::exchange(made_available_, 0);
  return Owed(device_event,
              After(next_available_, 2 * size() - count % (2 * size())), count);
}

Notification PackedModel::UsedNotification() {
  const size_t count = std::exchange(made_used_, 0);
  return Owed(driver_event,
              After(next_used_, 2 * size() - count % (2 * size())), count);
}

}  // namespace annulus::virtio::model
