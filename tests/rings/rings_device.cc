// What the device's side of Rings does in a step.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"

namespace annulus::virtio::differential {

Verdict Rings::Pop() {
  if (!real_device()) {
    for (uint32_t i = HowMany(); i > 0 && !ring().available().empty(); --i) {
      ring().TakeAvailable();
    }
    return "";
  }
  if (OneIn(3)) return Take();
  for (uint32_t i = HowMany(); i > 0; --i) {
    auto chain = std::make_shared<DescriptorChain>(kMaxElements);
    if (queue_.Pop(*chain) != !ring().available().empty()) {
      return absl::StrCat("Pop() is wrong: ", queue_.status().ToString());
    }
    if (ring().available().empty()) return "";
    if (Verdict v = Popped({.alone = chain, .chain = chain.get()});
        !v.empty()) {
      return v;
    }
  }
  return "";
}

Verdict Rings::Take() {
  const auto most = static_cast<uint16_t>(1 + Random(20));
  const auto room = static_cast<uint16_t>(kMaxElements + Random(40));
  auto batch = std::make_shared<ChainBatch>(most, room);
  const uint32_t count = queue_.Take(*batch);
  if (count != batch->chains().size()) return "Take() is wrong";
  size_t left = room;
  for (DescriptorChain& chain : batch->chains()) {
    if (ring().available().empty()) return "Take() took too many";
    left -= chain.readable().size() + chain.writable().size();
    if (Verdict v = Popped({.batch = batch, .chain = &chain}); !v.empty()) {
      return v;
    }
  }
  return count == most || ring().available().empty() ||
                 left < ring().available().front().buffer.size()
             ? Verdict()
             : "Take() took too few";
}

Verdict Rings::Popped(Held held) {
  const RingModel::InFlight& expected = ring().available().front();
  const DescriptorChain& chain = *held.chain;
  if (!chain.pending()) return "a popped chain is not pending";
  if (chain.id() != expected.id) return "another id was popped";
  if (Verdict v = CompareChain(chain, expected.buffer); !v.empty()) return v;
  ring().TakeAvailable();
  held_.push_back(std::move(held));
  return "";
}

Verdict Rings::CompareChain(const DescriptorChain& chain,
                            const Buffer& buffer) {
  size_t readable = 0;
  size_t writable = 0;
  for (const Element& element : buffer) {
    if (element.len == 0) continue;
    const auto& side = element.writable ? chain.writable() : chain.readable();
    size_t& index = element.writable ? writable : readable;
    if (index >= side.size()) return "an element is missing";
    if (side[index].address.value() != element.addr ||
        side[index].span.size() != element.len) {
      return "an element is not the driver's";
    }
    ++index;
  }
  if (readable != chain.readable().size() ||
      writable != chain.writable().size()) {
    return "an element is not from the driver";
  }
  return chain.writable_bytes() == model::WritableBytes(buffer)
             ? Verdict()
             : "wrong number of writable bytes";
}

Verdict Rings::Push() {
  for (uint32_t i = HowMany(); i > 0 && !ring().taken().empty(); --i) {
    const size_t taken = ring().taken().size();
    const size_t index =
        features().in_order ? 0 : (OneIn(2) ? 0 : Random(taken));
    const uint32_t room = model::WritableBytes(ring().taken()[index].buffer);
    uint32_t written = room;
    if (OneIn(3)) written = 0;
    if (OneIn(3)) written = Random(uint64_t{room} + 1);
    if (Verdict v = ring().Complete(index, written); !v.empty()) return v;
    if (!real_device()) continue;
    DescriptorChain* const chain = held_[index].chain;
    // More than there is room for is cut.
    if (written == room && OneIn(2)) written += Random(1000);
    queue_.Push(*chain, written);
    if (chain->pending()) return "a pushed chain is pending";
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  return "";
}

Verdict Rings::Publish() {
  if (!real_device()) {
    std::vector<bool> own(ring().completed().size(), true);
    for (size_t i = 0; features().in_order && i + 1 < own.size(); ++i) {
      const RingModel::InFlight& in_flight = ring().completed()[i];
      own[i] = in_flight.written != model::WritableBytes(in_flight.buffer) ||
               OneIn(3);
    }
    if (Verdict v = ExposeByModelDevice(own); !v.empty()) return v;
    (void)ring().UsedNotification();
    return "";
  }
  size_t completed = 0;
  for (const RingModel::InFlight& in_flight : ring().completed()) {
    completed += in_flight.descriptors.size();
  }
  // Exposing alone, for a batch that fits into the ring.
  undecided_ += completed;
  if (undecided_ <= size() && OneIn(3)) {
    queue_.Expose();
    return ring().ExposeUsed(OwnUsedElements());
  }
  if (undecided_ > size()) {
    // More than a lap: any notification is right.
    undecided_ = 0;
    (void)queue_.Publish();
    if (Verdict v = ring().ExposeUsed(OwnUsedElements()); !v.empty()) {
      return v;
    }
    (void)ring().UsedNotification();
    return "";
  }
  undecided_ = 0;
  const bool notifies = queue_.Publish();
  if (Verdict v = ring().ExposeUsed(OwnUsedElements()); !v.empty()) return v;
  return CheckNotification(ring().UsedNotification(), notifies);
}

Verdict Rings::DeviceEvent() {
  if (!real_device()) {
    ModelDeviceEvent();
    return "";
  }
  const bool enable = OneIn(2);
  if (!enable) {
    queue_.DisableNotifications();
  } else if (queue_.EnableNotifications() == ring().available().empty()) {
    return "EnableNotifications() is wrong about what is available";
  }
  return AdoptDeviceEvent(enable);
}

Verdict Rings::SaveAndRestore() {
  if (!real_device() || !ring().completed().empty()) return "";
  const QueueState state = queue_.Save();
  if (Verdict v = CompareState(state); !v.empty()) return v;
  absl::StatusOr<Virtqueue> queue =
      Virtqueue::Create(memory_, ConfigOf(case_), state);
  if (!queue.ok()) return queue.status().ToString();
  for (Held& held : held_) {
    auto chain = std::make_shared<DescriptorChain>(kMaxElements);
    const absl::Status resumed =
        queue->ResumeChain(SaveChain(*held.chain), *chain);
    if (!resumed.ok()) return resumed.ToString();
    held = {.alone = chain, .chain = chain.get()};
  }
  queue_ = *std::move(queue);
  (void)ring().UsedNotification();
  undecided_ = 0;
  return "";
}

}  // namespace annulus::virtio::differential
