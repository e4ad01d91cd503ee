#ifndef DEVICES_VIRTIO_TRANSPORT_QUEUE_REGISTERS_H_
#define DEVICES_VIRTIO_TRANSPORT_QUEUE_REGISTERS_H_

#include <cstdint>
#include <optional>

#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// The three parts of a virtqueue, virtio 1.4 §2.6 "Virtqueues".
enum class QueueArea : uint8_t { kDescriptor, kDriver, kDevice };

// 64-bit addresses arrive as two independent 32-bit registers.
enum class AddressHalf : uint8_t { kLow, kHigh };

// What the driver has written about one queue before it enables it.
//
// Threads: thread-compatible; DeviceState guards it.
// Trust: all of it is guest-controlled.
class QueueRegisters {
 public:
  // `size_max` is the device's limit, and the size until the driver chooses.
  explicit QueueRegisters(uint16_t size_max)
      : size_max_(size_max), size_(size_max) {}

  uint16_t size_max() const { return size_max_; }
  uint16_t size() const { return size_; }

  // A size that no queue can have under `features` is recorded as 0, so that
  // the queue never runs with another size than the driver believes in, and
  // queue_size reads as 0 or a power of 2 for a split queue (§4.1.4.3.1).
  void set_size(uint32_t size, const FeatureSet& features);

  uint32_t address(QueueArea area, AddressHalf half) const;
  void set_address(QueueArea area, AddressHalf half, uint32_t value);

  // What the device shall run on, or nullopt where the size is 0. Whether the
  // addresses are any good is for the queue to find out.
  std::optional<QueueConfig> Latch(const FeatureSet& features) const;

  void Reset() { *this = QueueRegisters(size_max_); }

 private:
  uint16_t size_max_;
  uint16_t size_;
  uint64_t areas_[3] = {};  // Indexed by QueueArea.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_QUEUE_REGISTERS_H_
