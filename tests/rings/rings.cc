#include "tests/rings/rings.h"

#include <algorithm>
#include <cstdint>

namespace annulus::virtio::differential {

Verdict Rings::Step(uint64_t number) {
  if (Verdict verdict = OneStep(); !verdict.empty()) return verdict;
  // All of a large ring would take longer than the steps.
  const bool everything = size() <= 1000 || number % 256 == 0;
  if (Verdict verdict = Compare(everything); !verdict.empty()) return verdict;
  return CompareViews();
}

Verdict Rings::OneStep() {
  switch (Random(17)) {
    case 0:
    case 1:
    case 2:
      return Add();
    case 3:
    case 4:
      return AskDriver();
    case 5:
    case 6:
      return TakeUsed();
    case 7:
      return DriverEvent();
    case 8:
    case 9:
    case 10:
      return Pop();
    case 11:
    case 12:
      return Push();
    case 13:
    case 14:
      return Publish();
    case 15:
      return OneIn(8) ? SaveAndRestore() : Verdict();
    default:
      return DeviceEvent();
  }
}

uint32_t Rings::HowMany() {
  return OneIn(8) ? 1 + Random(std::min<uint32_t>(size(), 300)) : 1 + Random(3);
}

Buffer Rings::NewBuffer() {
  const uint32_t most = std::min(size(), kMaxElements);
  const uint32_t elements =
      OneIn(16) ? 1 + Random(most) : 1 + Random(std::min<uint32_t>(most, 5));
  const uint32_t readable = Random(elements + 1);
  Buffer buffer;
  for (uint32_t i = 0; i < elements; ++i) {
    const uint32_t len = OneIn(10) ? 0 : 1 + Random(3000);
    // Nobody looks where an empty element is.
    const uint64_t addr = len == 0 ? random_() : Random(layout_.end - len + 1);
    buffer.push_back({.addr = addr, .len = len, .writable = i >= readable});
  }
  return buffer;
}

Verdict Rings::CheckNotification(Notification owed, bool sent) {
  if (owed == Notification::kRequired && !sent) {
    return "a required notification was not sent";
  }
  if (owed == Notification::kSuppressed && sent) {
    return "a suppressed notification was sent";
  }
  return "";
}

Verdict Rings::CompareViews() const {
  if (real_device()) {
    if (!queue_.ok()) return queue_.status().ToString();
    if (queue_.HasAvailable() == ring().available().empty()) {
      return "HasAvailable() is wrong";
    }
  }
  if (real_driver()) {
    if (DriverBroken()) return "the driver takes the device for broken";
    if (DriverFree() != ring().free_descriptors()) {
      return "the driver's free descriptors are wrong";
    }
    if (DriverHasUsed() != ring().NextUsed().has_value()) {
      return "HasUsed() is wrong";
    }
  }
  return "";
}

}  // namespace annulus::virtio::differential
