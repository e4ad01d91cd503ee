#ifndef DEVICES_PCI_CONFIG_SPACE_H_
#define DEVICES_PCI_CONFIG_SPACE_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/guest_address.h"

namespace annulus::pci {

// The 4 KiB of configuration space of a function with a type 0 header (PCI
// Local Bus 3.0 §6.1 "Configuration Space Organization"): bytes, a mask of
// those bits that the guest may change, a list of capabilities and 64-bit
// memory BARs. Sizing a BAR and moving it fall out of the masks.
//
// No interrupt pin and no I/O BARs: functions use MSI-X.
//
// Threads: thread-compatible; the function that owns it holds a lock.
// Trust: offset, width and data are guest-controlled. Bytes beyond the end
//   read as 0 and ignore writes.
class ConfigSpace {
 public:
  static constexpr uint32_t kSize = 4096;

  struct Identity {
    uint16_t vendor_id = 0;
    uint16_t device_id = 0;
    uint8_t revision_id = 0;
    uint32_t class_code = 0;  // 24 bits.
    uint16_t subsystem_vendor_id = 0;
    uint16_t subsystem_id = 0;
  };

  explicit ConfigSpace(const Identity& identity);

  // While the machine is built.

  // Appends a capability and returns its offset. Byte 0 is the id; byte 1, the
  // link, is filled in. Set bits of `writable`, which is empty or as long as
  // `capability`, are the guest's to change. ResourceExhausted where the 192
  // bytes after the header are used up.
  absl::StatusOr<uint32_t> AddCapability(
      absl::Span<const uint8_t> capability,
      absl::Span<const uint8_t> writable = {});

  // Registers `bar` and `bar` + 1 become a 64-bit memory BAR. `bar` is 0, 2 or
  // 4; `size` a power of two from 16 up; else InvalidArgument. `address`, where
  // firmware would have put it, is a multiple of size; 0 means nowhere yet.
  absl::Status AddMemoryBar(uint32_t bar, uint64_t size,
                            memory::GuestAddress address = {});

  // While it runs.
  void Read(uint32_t offset, absl::Span<uint8_t> data) const;
  void Write(uint32_t offset, absl::Span<const uint8_t> data);

  // Where `bar` shall answer now: nullopt while memory decoding is off, or the
  // guest has not given it an address.
  std::optional<memory::GuestAddress> BarAddress(uint32_t bar) const;

  uint8_t Get8(uint32_t offset) const { return bytes_[offset]; }
  uint16_t Get16(uint32_t offset) const;
  uint32_t Get32(uint32_t offset) const;

 private:
  void Set16(uint32_t offset, uint16_t value);
  void Set32(uint32_t offset, uint32_t value);

  std::array<uint8_t, kSize> bytes_ = {};
  std::array<uint8_t, kSize> writable_ = {};
  uint32_t last_link_;        // Offset of the link that ends the list.
  uint32_t next_capability_;  // Offset of free room.
};

// True if an access of `size` bytes at `offset` touches [start, start +
// length).
constexpr bool Overlaps(uint32_t offset, size_t size, uint32_t start,
                        uint32_t length) {
  return offset < start + length && start < offset + size;
}

}  // namespace annulus::pci

#endif  // DEVICES_PCI_CONFIG_SPACE_H_
