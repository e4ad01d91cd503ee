// What the driver's side of Rings does in a step.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"

namespace annulus::virtio::differential {

Verdict Rings::Add() {
  const bool batched = OneIn(2);
  for (uint32_t i = HowMany(); i > 0; --i) {
    const Buffer buffer = NewBuffer();
    const uint32_t elements = static_cast<uint32_t>(buffer.size());
    // A driver asks once for each batch, and a batch fits into the ring.
    if (added_ + elements > size()) {
      if (Verdict v = AskDriver(); !v.empty()) return v;
    }
    if (!real_driver()) {
      const bool indirect = features().indirect && OneIn(2) && elements <= 8;
      // With a table a split ring may still take descriptors for some.
      if (elements > ring().free_descriptors()) break;
      if (Verdict v = AddByModelDriver(buffer, indirect); !v.empty()) {
        return v;
      }
    } else {
      const uint32_t needed = UsesTable(buffer) ? 1 : elements;
      if (needed > ring().free_descriptors()) {
        if (Verdict v = Refused(buffer); !v.empty()) return v;
        break;
      }
      if (Verdict v = AddByRealDriver(buffer, batched); !v.empty()) return v;
    }
    added_ += elements;
  }
  if (!real_driver()) return "";
  if (size() < kEntries && OneIn(8)) {
    // "A driver MUST NOT create a descriptor list longer than the Queue
    // Size." (§2.8.17, §2.7.5.3.1) With a table there would be room.
    if (Verdict v = Refused(Buffer(size() + 1)); !v.empty()) return v;
  }
  if (batched) DriverExposes();
  constexpr uint16_t kQueue = 7;
  if (DriverNotificationData(kQueue) !=
      (kQueue | uint32_t{ExpectedNotificationData()} << 16)) {
    return "the notification data is wrong (§2.9)";
  }
  return "";
}

Verdict Rings::Refused(const Buffer& buffer) {
  return AddByRealDriver(buffer, false) == kAddedNothing
             ? Verdict()
             : "the driver had no room, and added";
}

Verdict Rings::AskDriver() {
  added_ = 0;
  const Notification owed = ring().AvailableNotification();
  if (!real_driver()) return "";
  return CheckNotification(owed, DriverNeedsNotification());
}

Verdict Rings::TakeUsed() {
  for (uint32_t i = HowMany(); i > 0; --i) {
    const std::optional<RingModel::Used> expected = ring().NextUsed();
    if (real_driver()) {
      uint16_t id = 0;
      uint32_t len = 0;
      if (DriverGetsUsed(&id, &len) != expected.has_value()) {
        return expected.has_value() ? "the driver did not see a used buffer"
                                    : "the driver saw a buffer not yet used";
      }
      if (expected.has_value() &&
          (id != expected->id || len != expected->len)) {
        return absl::StrCat("the driver got id ", id, " len ", len, ", not id ",
                            expected->id, " len ", expected->len);
      }
    }
    if (!expected.has_value()) return "";
    ring().TakeUsed();
  }
  return "";
}

Verdict Rings::DriverEvent() {
  if (!real_driver()) {
    ModelDriverEvent();
    return "";
  }
  if (OneIn(3)) {
    const bool already = DriverEnablesDelayed();
    if (already && !ring().NextUsed().has_value()) {
      return "EnableCallbacksDelayed() saw buffers that are not used";
    }
    return AdoptDelayedDriverEvent(already);
  }
  const bool enable = OneIn(2);
  if (!enable) {
    DriverDisables();
  } else if (DriverEnables() != ring().NextUsed().has_value()) {
    return "EnableCallbacks() is wrong about what is used";
  }
  return AdoptDriverEvent(enable);
}

}  // namespace annulus::virtio::differential
