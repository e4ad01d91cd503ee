#include "devices/pci/host_bridge.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "devices/pci/config_registers.h"

namespace annulus::pci {
namespace {

// CONFIG_ADDRESS.
constexpr uint32_t kAddressEnable = uint32_t{1} << 31;
constexpr uint32_t kAddressDefined = 0x80fffffc;
constexpr uint32_t kDataOffset = 4;  // CONFIG_DATA, after CONFIG_ADDRESS.

void Float(absl::Span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0xff});
}

bool IsNatural(uint64_t address, size_t width) {
  return (width == 1 || width == 2 || width == 4) && address % width == 0;
}

}  // namespace

// The identity of the generic PCI Express host bridge (pci.ids: 1b36:0008), to
// which no guest attaches a quirk.
HostBridge::BridgeFunction::BridgeFunction()
    : config_({.vendor_id = 0x1b36,
               .device_id = 0x0008,
               .revision_id = 0,
               .class_code = kClassHostBridge,
               .subsystem_vendor_id = 0x1af4,
               .subsystem_id = 0x1100}) {}

void HostBridge::BridgeFunction::ReadConfig(uint32_t offset,
                                            absl::Span<uint8_t> data) {
  MutexLock lock(mu_);
  config_.Read(offset, data);
}

void HostBridge::BridgeFunction::WriteConfig(uint32_t offset,
                                             absl::Span<const uint8_t> data) {
  MutexLock lock(mu_);
  config_.Write(offset, data);
}

HostBridge::HostBridge() { functions_[0] = &bridge_function_; }

absl::Status HostBridge::AddFunction(uint32_t device, PciFunction& function) {
  if (device == 0 || device >= kDevices) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PCI device number %d is not in [1, 31]", device));
  }
  if (functions_[device] != nullptr) {
    return absl::AlreadyExistsError(
        absl::StrFormat("PCI device number %d is taken", device));
  }
  functions_[device] = &function;
  return absl::OkStatus();
}

PciFunction* HostBridge::Find(uint64_t address, size_t width) const {
  if (!IsNatural(address, width)) return nullptr;
  const uint64_t bus = address >> 20;
  const uint64_t function = address >> 12 & 7;
  if (bus != 0 || function != 0) return nullptr;
  return functions_[address >> 15 & 31];
}

void HostBridge::Read(uint64_t address, absl::Span<uint8_t> data) {
  PciFunction* function = Find(address, data.size());
  if (function == nullptr) return Float(data);
  function->ReadConfig(address & 0xfff, data);
}

void HostBridge::Write(uint64_t address, absl::Span<const uint8_t> data) {
  PciFunction* function = Find(address, data.size());
  if (function != nullptr) function->WriteConfig(address & 0xfff, data);
}

void HostBridge::Ecam::Read(uint64_t offset, absl::Span<uint8_t> data) {
  bridge_.Read(offset, data);
}

void HostBridge::Ecam::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  bridge_.Write(offset, data);
}

namespace {

// CONFIG_ADDRESS has bus, device and function 4 bits further right than ECAM.
uint64_t EcamAddress(uint32_t address, uint64_t port_offset) {
  return uint64_t{address & 0x00ffff00} << 4 | (address & 0xfc) |
         (port_offset - kDataOffset);
}

}  // namespace

void HostBridge::Ports::Read(uint64_t offset, absl::Span<uint8_t> data) {
  const uint32_t address = address_.load(std::memory_order_relaxed);
  if (offset == 0 && data.size() == 4) {
    for (size_t i = 0; i < 4; ++i) {
      data[i] = static_cast<uint8_t>(address >> (8 * i));
    }
    return;
  }
  // Only 4-byte accesses at 0xcf8 are the address register; others there
  // belong to whatever else decodes the port, such as the reset register.
  if (offset < kDataOffset || (address & kAddressEnable) == 0 ||
      !IsNatural(offset, data.size())) {
    return Float(data);
  }
  bridge_.Read(EcamAddress(address, offset), data);
}

void HostBridge::Ports::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset == 0 && data.size() == 4) {
    uint32_t address = 0;
    for (size_t i = 0; i < 4; ++i) address |= uint32_t{data[i]} << (8 * i);
    address_.store(address & kAddressDefined, std::memory_order_relaxed);
    return;
  }
  const uint32_t address = address_.load(std::memory_order_relaxed);
  if (offset < kDataOffset || (address & kAddressEnable) == 0 ||
      !IsNatural(offset, data.size())) {
    return;
  }
  bridge_.Write(EcamAddress(address, offset), data);
}

}  // namespace annulus::pci
