#ifndef DEVICES_PCI_BAR_MAPPING_H_
#define DEVICES_PCI_BAR_MAPPING_H_

#include <cstdint>
#include <optional>

#include "devices/bus_device.h"
#include "devices/pci/bar_mapper.h"
#include "memory/guest_address.h"

namespace annulus::pci {

// Where one BAR answers at present, as opposed to where the guest wants it.
//
// Threads: thread-compatible; the function that owns it holds a lock.
class BarMapping {
 public:
  // The references outlive the mapping.
  BarMapping(BarMapper& mapper, BusDevice& device, uint64_t size)
      : mapper_(mapper), device_(device), size_(size) {}
  ~BarMapping() { Move(std::nullopt); }
  BarMapping(const BarMapping&) = delete;
  BarMapping& operator=(const BarMapping&) = delete;

  // Follows the guest. A place that is refused leaves the BAR unmapped, and is
  // tried again with the next call.
  void Move(std::optional<memory::GuestAddress> wanted);

  // nullopt while the BAR answers nowhere.
  std::optional<memory::GuestAddress> address() const { return address_; }

 private:
  BarMapper& mapper_;
  BusDevice& device_;
  const uint64_t size_;
  std::optional<memory::GuestAddress> address_;
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_BAR_MAPPING_H_
