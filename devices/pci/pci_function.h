#ifndef DEVICES_PCI_PCI_FUNCTION_H_
#define DEVICES_PCI_PCI_FUNCTION_H_

#include <cstdint>

#include "absl/types/span.h"

namespace annulus::pci {

// One function as the host bridge sees it: 4 KiB of configuration space.
//
// Threads: called on any vCPU thread, concurrently.
// Trust: data and offset are guest-controlled. The bridge lets only aligned
//   accesses of 1, 2 and 4 bytes below 4096 through.
class PciFunction {
 public:
  virtual ~PciFunction() = default;

  // Fills all of `data`; registers that do not exist read as 0.
  virtual void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) = 0;
  virtual void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) = 0;
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_PCI_FUNCTION_H_
