#ifndef VMM_BOOT_SMALL_GUEST_H_
#define VMM_BOOT_SMALL_GUEST_H_

#include <cstdint>
#include <utility>

#include "absl/types/span.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "vmm/boot/kernel_image_builder.h"

namespace annulus::boot {

// Guest RAM for a loader's tests, from address 0 up.
class SmallGuest {
 public:
  explicit SmallGuest(uint64_t megabytes)
      : ram_(memory::GuestRam::Create({.size = megabytes << 20}).value()),
        memory_(memory::GuestMemory::Create(ram_.Regions()).value()) {}

  const memory::GuestMemory& memory() const { return memory_; }

  // Empty where that is not RAM.
  Bytes Read(uint64_t address, size_t size) const {
    Bytes bytes(size);
    if (!memory_.Read(memory::GuestAddress(address), absl::MakeSpan(bytes))) {
      return {};
    }
    return bytes;
  }

  // A little-endian number of `size` bytes.
  uint64_t Number(uint64_t address, size_t size) const {
    const Bytes bytes = Read(address, size);
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
    return value;
  }

 private:
  memory::GuestRam ram_;
  memory::GuestMemory memory_;
};

}  // namespace annulus::boot

#endif  // VMM_BOOT_SMALL_GUEST_H_
