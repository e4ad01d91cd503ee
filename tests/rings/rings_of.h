#ifndef TESTS_RINGS_RINGS_OF_H_
#define TESTS_RINGS_RINGS_OF_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/virtio/driver/driver_buffer.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"

namespace annulus::virtio::differential {

// The real driver, of either format.
template <typename Model, typename Driver>
class RingsOf : public Rings {
 public:
  RingsOf(const Case& c, uint64_t seed)
      : Rings(c, seed), model_(c.size, c.features), slots_(c.size) {}

 protected:
  RingModel& ring() override { return model_; }
  const RingModel& ring() const override { return model_; }
  bool DriverNeedsNotification() override {
    return driver_->NeedsNotification();
  }
  bool DriverHasUsed() const override { return driver_->HasUsed(); }
  bool DriverGetsUsed(uint16_t* id, uint32_t* len) override {
    return driver_->GetUsed(id, len);
  }
  bool DriverEnablesDelayed() override {
    return driver_->EnableCallbacksDelayed();
  }
  void DriverExposes() override { driver_->Expose(); }
  uint32_t DriverNotificationData(uint16_t queue) const override {
    return driver_->NotificationData(queue);
  }
  void DriverDisables() override { driver_->DisableCallbacks(); }
  uint32_t DriverFree() const override { return driver_->free_descriptors(); }
  bool DriverBroken() const override { return driver_->broken(); }

  uint16_t Add(const Buffer& buffer, bool batched) {
    std::vector<DriverElement> elements;
    uint32_t readable = 0;
    for (const Element& element : buffer) {
      elements.push_back({.addr = element.addr, .len = element.len});
      if (!element.writable) ++readable;
    }
    const uint32_t count = static_cast<uint32_t>(elements.size());
    const DriverElement* const first = elements.data();
    return batched ? driver_->AddBatched(first, readable, first + readable,
                                         count - readable)
                   : driver_->Add(first, readable, first + readable,
                                  count - readable);
  }

  Model model_;
  std::vector<DriverSlot> slots_;
  std::optional<Driver> driver_;  // None where the model is the driver.
};

}  // namespace annulus::virtio::differential

#endif  // TESTS_RINGS_RINGS_OF_H_
