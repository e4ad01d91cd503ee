#ifndef VMM_BUS_ADDRESS_BUS_H_
#define VMM_BUS_ADDRESS_BUS_H_

#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/bus_device.h"

namespace annulus {

// Finds the device behind a guest address: one bus for MMIO, one for I/O ports.
//
// Threads: thread-safe. A device is called without the bus's lock held, so a
//   register may itself change the bus (a PCI BAR that the guest moves).
//   Devices outlive the bus's users: a device that another vCPU removes may
//   still get one access.
// Trust: addresses and widths are guest-controlled. An access that no device
//   covers wholly reads as all ones and writes nowhere.
class AddressBus {
 public:
  // `device` is borrowed. AlreadyExists where the range overlaps another,
  // InvalidArgument where it is empty or wraps.
  absl::Status Add(uint64_t start, uint64_t size, BusDevice& device);

  // A no-op if no device starts there.
  void Remove(uint64_t start);

  void Read(uint64_t address, absl::Span<uint8_t> data);
  void Write(uint64_t address, absl::Span<const uint8_t> data);

 private:
  struct Range {
    uint64_t size;
    BusDevice* device;
  };
  struct Target {
    BusDevice* device;  // Null: nothing there.
    uint64_t offset;
  };

  Target Find(uint64_t address, uint64_t length);

  Mutex mu_;
  std::map<uint64_t, Range> ranges_ ABSL_GUARDED_BY(mu_);  // By start.
};

}  // namespace annulus

#endif  // VMM_BUS_ADDRESS_BUS_H_
