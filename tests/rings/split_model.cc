#include "tests/rings/split_model.h"

#include <utility>

namespace annulus::virtio::model {

SplitModel::SplitModel(uint32_t size, Features features)
    : RingModel(size, features), desc(size), in_use_(size) {
  avail.ring.resize(size);
  used.ring.resize(size);
}

Verdict SplitModel::CheckDescriptors(const Placement& placement) const {
  std::vector<bool> seen(size());
  for (size_t i = 0; i < placement.descriptors.size(); ++i) {
    const uint16_t index = placement.descriptors[i];
    if (index >= size()) return "a descriptor beyond the table (§2.7.5)";
    if (in_use_[index]) return "a descriptor that is not free (§2.7.13.1)";
    if (seen[index]) return "a loop in the chain (§2.7.5.2)";
    seen[index] = true;
    // "If VIRTIO_F_IN_ORDER has been negotiated, driver uses descriptors in
    // ring order: starting from offset 0 in the table, and wrapping around at
    // the end of the table." (§2.7.5)
    if (features().in_order && index != (next_in_order_ + i) % size()) {
      return "descriptors are not in ring order (§2.7.5)";
    }
  }
  // "If VIRTIO_F_IN_ORDER has been negotiated, indirect descriptors MUST appear
  // sequentially" (§2.7.5.3.1)
  for (size_t i = 0; i < placement.indices.size(); ++i) {
    if (placement.indices[i] >= placement.indices.size() ||
        (i == 0 && placement.indices[i] != 0)) {
      return "an index beyond the indirect table (§2.7.5.3)";
    }
    if (features().in_order && placement.indices[i] != i) {
      return "indirect descriptors are not sequential (§2.7.5.3.1)";
    }
  }
  return "";
}

Verdict SplitModel::MakeAvailable(const Buffer& buffer,
                                  const Placement& placement) {
  const size_t descriptors = placement.descriptors.size();
  if (descriptors == 0) return "a chain has a head (§2.7.6)";
  // "The driver MUST NOT set the VIRTQ_DESC_F_INDIRECT flag unless the
  // VIRTIO_F_INDIRECT_DESC feature was negotiated." (§2.7.5.3.1)
  if (placement.table.has_value() && !features().indirect) {
    return "VIRTIO_F_INDIRECT_DESC was not negotiated (§2.7.5.3.1)";
  }
  const size_t direct =
      placement.table.has_value() ? descriptors - 1 : descriptors;
  if (direct + placement.indices.size() != buffer.size()) {
    return "each element has one descriptor (§2.7.13.1)";
  }
  const uint16_t head = placement.descriptors[0];
  if (Verdict verdict = CheckDescriptors(placement); !verdict.empty()) {
    return verdict;
  }
  if (Verdict verdict = CheckBuffer(buffer, head, descriptors);
      !verdict.empty()) {
    return verdict;
  }
  for (size_t i = 0; i < descriptors; ++i) {
    Descriptor& d = desc[placement.descriptors[i]];
    if (i < direct) {
      d.addr = buffer[i].addr;  // §2.7.13.1
      d.len = buffer[i].len;
      d.flags = buffer[i].writable ? kWrite : 0;
    } else {
      d.addr = *placement.table;  // §2.7.5.3
      d.len = static_cast<uint32_t>(placement.indices.size() * 16);
      d.flags = placement.reserved_write ? kIndirect | kWrite : kIndirect;
    }
    if (i + 1 < descriptors) {
      d.flags |= kNext;
      d.next = placement.descriptors[i + 1];
    } else {
      d.next = placement.reserved_next;
    }
    in_use_[placement.descriptors[i]] = true;
  }
  // "each ring entry refers to the head of a descriptor chain"; idx "indicates
  // where the driver would put the next descriptor entry in the ring (modulo
  // the queue size). This starts at 0, and increases." (§2.7.6)
  avail.ring[avail.idx % size()] = head;
  ++avail.idx;
  next_in_order_ =
      static_cast<uint16_t>((next_in_order_ + descriptors) % size());
  ++made_available_;
  AddAvailable(
      {.id = head, .buffer = buffer, .descriptors = placement.descriptors});
  return "";
}

std::vector<SplitModel::Descriptor> SplitModel::Table(
    const Buffer& buffer, const Placement& placement) {
  const size_t direct = placement.descriptors.size() - 1;
  std::vector<Descriptor> table(placement.indices.size());
  for (size_t i = 0; i < placement.indices.size(); ++i) {
    const Element& element = buffer[direct + i];
    Descriptor& d = table[placement.indices[i]];
    d.addr = element.addr;
    d.len = element.len;
    d.flags = element.writable ? kWrite : 0;
    if (i + 1 < placement.indices.size()) {
      d.flags |= kNext;
      d.next = placement.indices[i + 1];
    } else {
      d.next = placement.reserved_next;
    }
  }
  return table;
}

void SplitModel::WriteUsed(const InFlight& last, size_t buffers,
                           size_t /*descriptors*/) {
  // "id indicates the head entry of the descriptor chain describing the buffer
  // ..., and len the total of bytes written into the buffer." (§2.7.8) With
  // VIRTIO_F_IN_ORDER "at an offset matching the first available ring entry in
  // the batch", and idx increases "by the size of the batch" (§2.7.9).
  used.ring[used.idx % size()] = {.id = last.id, .len = last.written};
  used.idx = static_cast<uint16_t>(used.idx + buffers);
  made_used_ += buffers;
}

void SplitModel::Freed(const InFlight& in_flight) {
  ++next_used_of_driver_;
  for (const uint16_t index : in_flight.descriptors) in_use_[index] = false;
}

Notification SplitModel::Owed(uint16_t flags, uint16_t event, uint16_t from,
                              size_t entries) const {
  if (entries == 0) return Notification::kSuppressed;
  if (!features().event_idx) {
    // "If flags is 1, the device SHOULD NOT send a notification. If flags is 0,
    // the device MUST send a notification." (§2.7.7.2; §2.7.10.1)
    return (flags & 1) != 0 ? Notification::kSuppressed
                            : Notification::kRequired;
  }
  // "If the idx field in the used ring (which determined where that descriptor
  // index was placed) was equal to used_event, the device MUST send a
  // notification. Otherwise the device SHOULD NOT" (§2.7.7.2; §2.7.10.1)
  for (size_t i = 0; i < entries; ++i) {
    if (static_cast<uint16_t>(from + i) == event) {
      return Notification::kRequired;
    }
  }
  return Notification::kSuppressed;
}

Notification SplitModel::AvailableNotification() {
  const size_t count = std::exchange(made_available_, 0);
  return Owed(used.flags, used.avail_event,
              static_cast<uint16_t>(avail.idx - count), count);
}

Notification SplitModel::UsedNotification() {
  const size_t count = std::exchange(made_used_, 0);
  return Owed(avail.flags, avail.used_event,
              static_cast<uint16_t>(used.idx - count), count);
}

}  // namespace annulus::virtio::model
