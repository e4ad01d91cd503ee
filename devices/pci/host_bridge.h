#ifndef DEVICES_PCI_HOST_BRIDGE_H_
#define DEVICES_PCI_HOST_BRIDGE_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/bus_device.h"
#include "devices/pci/config_space.h"
#include "devices/pci/pci_function.h"

namespace annulus::pci {

// Bus 0 of one PCI segment: a host bridge at 00:00.0 and up to 31 functions
// beside it, each function 0 of its device. The guest reaches configuration
// space through the ECAM window (PCI Express Base 3.0 §7.2.2 "PCI Express
// Enhanced Configuration Access Mechanism") and through the ports 0xcf8 and
// 0xcfc (PCI Local Bus 3.0 §3.2.2.3.2 "Software Generation of Configuration
// Transactions").
//
// Functions that do not exist, and accesses that no bus would carry
// (unaligned, or other than 1, 2 or 4 bytes wide), read as all ones and ignore
// writes.
//
// Threads: Read() and Write() of both windows on any vCPU thread.
//   AddFunction() only while the machine is built.
class HostBridge {
 public:
  static constexpr uint32_t kDevices = 32;
  static constexpr uint64_t kEcamSize = uint64_t{1} << 20;  // Bus 0.
  static constexpr uint16_t kPorts = 0xcf8;  // Address register, data register.
  static constexpr uint16_t kPortCount = 8;

  HostBridge();
  HostBridge(const HostBridge&) = delete;
  HostBridge& operator=(const HostBridge&) = delete;

  // `function`, which outlives the bridge, becomes 00:`device`.0.
  // InvalidArgument unless 0 < device < 32; AlreadyExists where one is.
  absl::Status AddFunction(uint32_t device, PciFunction& function);

  // To be put on the MMIO bus, kEcamSize bytes, and on the port bus at kPorts.
  BusDevice& ecam() { return ecam_; }
  BusDevice& ports() { return ports_; }

 private:
  // 00:00.0, which has nothing but an identity.
  class BridgeFunction final : public PciFunction {
   public:
    BridgeFunction();
    void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) override;
    void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) override;

   private:
    Mutex mu_;
    ConfigSpace config_ ABSL_GUARDED_BY(mu_);
  };

  class Ecam final : public BusDevice {
   public:
    explicit Ecam(HostBridge& bridge) : bridge_(bridge) {}
    void Read(uint64_t offset, absl::Span<uint8_t> data) override;
    void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

   private:
    HostBridge& bridge_;
  };

  class Ports final : public BusDevice {
   public:
    explicit Ports(HostBridge& bridge) : bridge_(bridge) {}
    void Read(uint64_t offset, absl::Span<uint8_t> data) override;
    void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

   private:
    HostBridge& bridge_;
    // CONFIG_ADDRESS. The guest locks around address and data.
    std::atomic<uint32_t> address_{0};
  };

  // `address` is bus << 20 | device << 15 | function << 12 | register. Null
  // unless the access is one that a function may get.
  PciFunction* Find(uint64_t address, size_t width) const;
  void Read(uint64_t address, absl::Span<uint8_t> data);
  void Write(uint64_t address, absl::Span<const uint8_t> data);

  BridgeFunction bridge_function_;
  std::array<PciFunction*, kDevices> functions_ = {};
  Ecam ecam_{*this};
  Ports ports_{*this};
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_HOST_BRIDGE_H_
