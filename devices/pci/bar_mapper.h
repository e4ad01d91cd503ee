#ifndef DEVICES_PCI_BAR_MAPPER_H_
#define DEVICES_PCI_BAR_MAPPER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "devices/bus_device.h"
#include "memory/guest_address.h"

namespace annulus::pci {

// Puts BARs on the machine's MMIO bus where the guest wants them. The machine
// implements it.
//
// Threads: thread-safe. Called on a vCPU thread, from inside a
//   BusDevice::Write() of the configuration space: so the bus must not hold a
//   lock, while it dispatches, that these calls take.
// Trust: the address is guest-controlled: it may lie on RAM, on another
//   device, or in the last page of 2^64. That is an error, which the BAR
//   survives: it answers nowhere until the guest moves it.
class BarMapper {
 public:
  virtual ~BarMapper() = default;

  // `device` gets the accesses in [address, address + size), which does not
  // wrap. AlreadyExists where any of it is taken or is no place for BARs.
  virtual absl::Status Map(memory::GuestAddress address, uint64_t size,
                           BusDevice& device) = 0;

  // Undoes a Map() that succeeded. An access that another vCPU has under way
  // may still arrive; the device outlives those.
  virtual void Unmap(memory::GuestAddress address, uint64_t size) = 0;
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_BAR_MAPPER_H_
