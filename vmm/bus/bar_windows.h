#ifndef VMM_BUS_BAR_WINDOWS_H_
#define VMM_BUS_BAR_WINDOWS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "devices/bus_device.h"
#include "devices/pci/bar_mapper.h"
#include "memory/guest_address.h"
#include "vmm/bus/address_bus.h"

namespace annulus {

// Lets BARs onto the MMIO bus, inside the windows that ACPI announces for them
// and nowhere else: RAM, APICs and virtio-mmio devices stay what they are.
//
// Threads: thread-safe.
// Errors: of Map(), AlreadyExists, whether another device is there or the place
//   is in no window.
class BarWindows final : public pci::BarMapper {
 public:
  struct Window {
    memory::GuestAddress start;
    uint64_t size = 0;  // Bytes; does not wrap.
  };

  // `bus` outlives the windows.
  BarWindows(AddressBus& bus, std::vector<Window> windows)
      : bus_(bus), windows_(std::move(windows)) {}

  absl::Status Map(memory::GuestAddress address, uint64_t size,
                   BusDevice& device) override;
  void Unmap(memory::GuestAddress address, uint64_t size) override;

 private:
  AddressBus& bus_;
  const std::vector<Window> windows_;
};

}  // namespace annulus

#endif  // VMM_BUS_BAR_WINDOWS_H_
