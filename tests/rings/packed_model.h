#ifndef TESTS_RINGS_PACKED_MODEL_H_
#define TESTS_RINGS_PACKED_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/rings/ring_model.h"

namespace annulus::virtio::model {

// virtio 1.4 §2.8 "Packed Virtqueues".
class PackedModel : public RingModel {
 public:
  // struct pvirtq_desc (§2.8.13).
  struct Descriptor {
    uint64_t addr = 0;
    uint32_t len = 0;
    uint16_t id = 0;
    uint16_t flags = 0;
  };
  static constexpr uint16_t kNext = 1 << 0;      // §2.8.6
  static constexpr uint16_t kWrite = 1 << 1;     // §2.8.3
  static constexpr uint16_t kIndirect = 1 << 2;  // §2.8.7
  static constexpr uint16_t kAvail = 1 << 7;     // §2.8.1
  static constexpr uint16_t kUsed = 1 << 15;     // §2.8.1

  // struct pvirtq_event_suppress (§2.8.14).
  struct EventSuppression {
    uint16_t desc = 0;   // desc_event_off in bits 0-14, desc_event_wrap in 15.
    uint16_t flags = 0;  // desc_event_flags in bits 0-1.
  };
  static constexpr uint16_t kEnable = 0;   // RING_EVENT_FLAGS_ENABLE, §2.8.10
  static constexpr uint16_t kDisable = 1;  // RING_EVENT_FLAGS_DISABLE
  static constexpr uint16_t kDesc = 2;     // RING_EVENT_FLAGS_DESC

  PackedModel(uint32_t size, Features features)
      : RingModel(size, features), ring(size) {}

  // What lies in memory now. "The descriptor ring is zero-initialized."
  // (§2.8.13)
  std::vector<Descriptor> ring;
  EventSuppression driver_event;  // Written by the driver.
  EventSuppression device_event;  // Written by the device.

  // What the driver chooses when it makes a buffer available.
  struct Placement {
    uint16_t id = 0;
    // An indirect table there, which holds Table(); nullopt: descriptors in the
    // ring.
    std::optional<uint64_t> table;
    // Fields without a meaning: the ids in the descriptors of a list, in order,
    // but the last, and VIRTQ_DESC_F_WRITE beside VIRTQ_DESC_F_INDIRECT.
    std::vector<uint16_t> reserved_ids;
    bool reserved_write = false;
  };
  Verdict MakeAvailable(const Buffer& buffer, const Placement& placement);

  // The contents of the indirect table of a buffer (§2.8.7); ids are reserved.
  static std::vector<Descriptor> Table(const Buffer& buffer,
                                       uint16_t reserved_id);

  Notification AvailableNotification() override;
  Notification UsedNotification() override;

  // A place in the ring is counted modulo twice the size, so that the ring wrap
  // counter, "initialized to 1" (§2.8.1), is 1 in the first half.
  uint16_t Offset(uint32_t place) const {
    return static_cast<uint16_t>(place % size());
  }
  bool WrapCounter(uint32_t place) const { return place < size(); }
  uint32_t After(uint32_t place, size_t descriptors) const {
    return static_cast<uint32_t>((place + descriptors) % (2 * size()));
  }
  uint16_t EventDesc(uint32_t place) const {  // As desc has it, §2.8.14.
    return static_cast<uint16_t>(Offset(place) |
                                 (WrapCounter(place) ? 1 << 15 : 0));
  }

  // Where the driver puts the next descriptor; the device reads it there.
  uint32_t next_available() const { return next_available_; }
  uint32_t next_available_of_device() const;
  // Where the device writes the next used descriptor; where the driver looks.
  uint32_t next_used() const { return next_used_; }
  uint32_t next_used_of_driver() const { return next_used_of_driver_; }

  // What one side owes when it has written `descriptors` from `place` on, and
  // the other one's structure has this.
  Notification Owed(const EventSuppression& event, uint32_t place,
                    size_t descriptors) const;

 protected:
  void WriteUsed(const InFlight& last, size_t buffers,
                 size_t descriptors) override;
  void Freed(const InFlight& in_flight) override;

 private:
  uint32_t next_available_ = 0;
  uint32_t next_used_ = 0;
  uint32_t next_used_of_driver_ = 0;
  // Since the last question for a notification.
  size_t made_available_ = 0;
  size_t made_used_ = 0;
};

}  // namespace annulus::virtio::model

#endif  // TESTS_RINGS_PACKED_MODEL_H_
