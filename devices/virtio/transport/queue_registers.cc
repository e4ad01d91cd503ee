#include "devices/virtio/transport/queue_registers.h"

#include <bit>
#include <cstddef>

#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

constexpr size_t Index(QueueArea area) { return static_cast<size_t>(area); }

}  // namespace

void QueueRegisters::set_size(uint32_t size, const FeatureSet& features) {
  // §2.7 "Split Virtqueues": "Queue Size value is always a power of 2"; §2.8
  // asks that of packed queues no more. size_max_ is at most 32768.
  const bool usable =
      size != 0 && size <= size_max_ &&
      (features.Has(kFeatureRingPacked) || std::has_single_bit(size));
  size_ = usable ? static_cast<uint16_t>(size) : 0;
}

uint32_t QueueRegisters::address(QueueArea area, AddressHalf half) const {
  const uint64_t address = areas_[Index(area)];
  return static_cast<uint32_t>(half == AddressHalf::kLow ? address
                                                         : address >> 32);
}

void QueueRegisters::set_address(QueueArea area, AddressHalf half,
                                 uint32_t value) {
  uint64_t& address = areas_[Index(area)];
  if (half == AddressHalf::kLow) {
    address = (address & ~uint64_t{0xffffffff}) | value;
  } else {
    address = (address & 0xffffffff) | uint64_t{value} << 32;
  }
}

std::optional<QueueConfig> QueueRegisters::Latch(
    const FeatureSet& features) const {
  if (size_ == 0) return std::nullopt;
  const auto area = [this](QueueArea area) {
    return memory::GuestAddress(areas_[Index(area)]);
  };
  return QueueConfig{.size = size_,
                     .descriptor = area(QueueArea::kDescriptor),
                     .driver = area(QueueArea::kDriver),
                     .device = area(QueueArea::kDevice),
                     .features = features};
}

}  // namespace annulus::virtio
