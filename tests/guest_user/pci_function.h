#ifndef TESTS_GUEST_USER_PCI_FUNCTION_H_
#define TESTS_GUEST_USER_PCI_FUNCTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus::guest_user {

// A PCI function that a program took from its kernel driver, by way of
// /sys/bus/pci/devices: configuration space by the file "config", BARs by
// mapping the files "resourceN". Nothing is needed for that but root: neither
// uio_pci_generic nor VFIO, which would add interrupts, and VFIO an IOMMU. So
// there are no interrupts: whoever drives the device polls.
//
// When it goes, the function is without a driver; "bind" of the driver's folder
// in sysfs gives it back.
//
// Threads: thread-compatible.
class PciFunction {
 public:
  // `name` is as in sysfs, "0000:00:01.0". Unbinds the kernel's driver if there
  // is one, enables memory decoding and bus mastering, and turns INTx off.
  static absl::StatusOr<std::unique_ptr<PciFunction>> Take(
      const std::string& name);
  ~PciFunction();

  PciFunction(const PciFunction&) = delete;
  PciFunction& operator=(const PciFunction&) = delete;

  // The name of the one function with these identities.
  static absl::StatusOr<std::string> FindOne(uint16_t vendor, uint16_t device);

  const std::string& name() const { return name_; }

  // Of configuration space.
  absl::Status ReadConfig(uint32_t offset, void* out, size_t bytes) const;
  absl::Status WriteConfig16(uint32_t offset, uint16_t value) const;

  // All of a memory BAR; the same one for each call.
  absl::StatusOr<volatile uint8_t*> MapBar(uint32_t bar);

 private:
  explicit PciFunction(const std::string& name) : name_(name) {}

  std::string File(const char* file) const;
  absl::Status Enable();

  struct Bar {
    void* at = nullptr;
    size_t bytes = 0;
  };

  const std::string name_;
  UniqueFd config_;
  std::array<Bar, 6> bars_ = {};
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_PCI_FUNCTION_H_
