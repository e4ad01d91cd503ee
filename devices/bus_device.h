#ifndef DEVICES_BUS_DEVICE_H_
#define DEVICES_BUS_DEVICE_H_

#include <cstdint>

#include "absl/types/span.h"

namespace annulus {

// A device as a bus sees it: a range of MMIO or port addresses.
//
// Threads: Read() and Write() are called on any vCPU thread, concurrently.
//   They validate, record and signal, and return to the guest soon.
// Trust: `offset` is inside the range that the device was registered with, and
//   so is the whole access. Width (1 to 8 bytes), alignment and data are
//   guest-controlled.
class BusDevice {
 public:
  virtual ~BusDevice() = default;

  // Fills all of `data`; bytes that no register defines read as 0 (or as
  // 0xff where the real device floats).
  virtual void Read(uint64_t offset, absl::Span<uint8_t> data) = 0;
  virtual void Write(uint64_t offset, absl::Span<const uint8_t> data) = 0;
};

}  // namespace annulus

#endif  // DEVICES_BUS_DEVICE_H_
