#ifndef TESTS_GUEST_PCI_H_
#define TESTS_GUEST_PCI_H_

#include <cstdint>

#include "tests/guest/io.h"

namespace guest {

// Function 0 of a device on bus 0, through the enhanced configuration access
// mechanism.
class PciFunction {
 public:
  static constexpr uint64_t kEcam = 0xe0000000;

  explicit constexpr PciFunction(uint32_t slot)
      : base_(kEcam + (uint64_t{slot} << 15)) {}

  template <typename T>
  T Read(uint32_t offset) const {
    return MmioRead<T>(base_ + offset);
  }
  template <typename T>
  void Write(uint32_t offset, T value) const {
    MmioWrite<T>(base_ + offset, value);
  }

  // Offset of the first capability of this kind after `previous`, which is 0
  // for the first of all; 0: there is none.
  uint32_t FindCapability(uint8_t id, uint32_t previous = 0) const;

  // Sizes the 64-bit memory BAR at `index`, and places it. Memory decoding is
  // off meanwhile, and on afterwards.
  uint64_t PlaceBar(uint32_t index, uint64_t address) const;

  uint64_t config_address() const { return base_; }

 private:
  uint64_t base_;
};

}  // namespace guest

#endif  // TESTS_GUEST_PCI_H_
