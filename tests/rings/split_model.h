#ifndef TESTS_RINGS_SPLIT_MODEL_H_
#define TESTS_RINGS_SPLIT_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/rings/ring_model.h"

namespace annulus::virtio::model {

// virtio 1.4 §2.7 "Split Virtqueues".
class SplitModel : public RingModel {
 public:
  // struct virtq_desc (§2.7.5).
  struct Descriptor {
    uint64_t addr = 0;
    uint32_t len = 0;
    uint16_t flags = 0;
    uint16_t next = 0;
  };
  static constexpr uint16_t kNext = 1 << 0;
  static constexpr uint16_t kWrite = 1 << 1;
  static constexpr uint16_t kIndirect = 1 << 2;

  // struct virtq_avail (§2.7.6).
  struct Available {
    uint16_t flags = 0;
    uint16_t idx = 0;
    std::vector<uint16_t> ring;
    uint16_t used_event = 0;
  };
  static constexpr uint16_t kNoInterrupt = 1;

  // struct virtq_used_elem and struct virtq_used (§2.7.8).
  struct UsedElement {
    uint32_t id = 0;
    uint32_t len = 0;
  };
  struct UsedRing {
    uint16_t flags = 0;
    uint16_t idx = 0;
    std::vector<UsedElement> ring;
    uint16_t avail_event = 0;
  };
  static constexpr uint16_t kNoNotify = 1;

  SplitModel(uint32_t size, Features features);

  // What lies in memory now.
  std::vector<Descriptor> desc;  // Written by the driver, as is `avail`.
  Available avail;
  UsedRing used;  // Written by the device.

  // What the driver chooses when it makes a buffer available.
  struct Placement {
    // Descriptors of the table for the elements in their order, the head first.
    // With an indirect table, the last of them refers to it.
    std::vector<uint16_t> descriptors;
    // An indirect table there, which holds what Table() says for `indices`: the
    // elements that are left, each at which index.
    std::optional<uint64_t> table;
    std::vector<uint16_t> indices;
    // Fields without a meaning: next in the last descriptor, VIRTQ_DESC_F_WRITE
    // beside VIRTQ_DESC_F_INDIRECT.
    uint16_t reserved_next = 0;
    bool reserved_write = false;
  };
  Verdict MakeAvailable(const Buffer& buffer, const Placement& placement);

  // The indirect table of a buffer (§2.7.5.3): as many descriptors as there are
  // indices; the first element is at index 0.
  static std::vector<Descriptor> Table(const Buffer& buffer,
                                       const Placement& placement);

  // The descriptor at which the next list starts with VIRTIO_F_IN_ORDER.
  uint16_t next_in_order() const { return next_in_order_; }
  bool in_use(uint16_t descriptor) const { return in_use_[descriptor]; }

  Notification AvailableNotification() override;
  Notification UsedNotification() override;

  // What one side owes when it has written the entries [from, from + entries),
  // modulo 2^16, and the other one has this in memory.
  Notification Owed(uint16_t flags, uint16_t event, uint16_t from,
                    size_t entries) const;

  uint16_t next_used_of_driver() const { return next_used_of_driver_; }
  // Of the next one that the device takes.
  uint16_t next_available_of_device() const {
    return static_cast<uint16_t>(avail.idx - available().size());
  }

 protected:
  void WriteUsed(const InFlight& last, size_t buffers,
                 size_t descriptors) override;
  void Freed(const InFlight& in_flight) override;

 private:
  Verdict CheckDescriptors(const Placement& placement) const;

  std::vector<bool> in_use_;
  uint16_t next_in_order_ = 0;
  uint16_t next_used_of_driver_ = 0;
  // Since the last question for a notification.
  size_t made_available_ = 0;
  size_t made_used_ = 0;
};

}  // namespace annulus::virtio::model

#endif  // TESTS_RINGS_SPLIT_MODEL_H_
