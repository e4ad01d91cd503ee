#include "devices/pci/config_space.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_format.h"
#include "devices/pci/config_registers.h"

namespace annulus::pci {
namespace {

constexpr uint32_t kCapabilitiesEnd = 0x100;

constexpr uint32_t BarOffset(uint32_t bar) { return kConfigBar0 + 4 * bar; }

}  // namespace

ConfigSpace::ConfigSpace(const Identity& identity)
    : last_link_(kConfigCapabilitiesPointer),
      next_capability_(kConfigHeaderEnd) {
  Set16(kConfigVendorId, identity.vendor_id);
  Set16(kConfigDeviceId, identity.device_id);
  bytes_[kConfigRevisionId] = identity.revision_id;
  bytes_[kConfigClassCode] = static_cast<uint8_t>(identity.class_code);
  bytes_[kConfigClassCode + 1] = static_cast<uint8_t>(identity.class_code >> 8);
  bytes_[kConfigClassCode + 2] =
      static_cast<uint8_t>(identity.class_code >> 16);
  Set16(kConfigSubsystemVendorId, identity.subsystem_vendor_id);
  Set16(kConfigSubsystemId, identity.subsystem_id);

  // I/O space stays hardwired to 0: there are no I/O BARs. Bus mastering is
  // recorded only; a device stops when its driver resets it.
  constexpr uint16_t kCommandWritable =
      kCommandMemorySpace | kCommandBusMaster | kCommandParityErrorResponse |
      kCommandSerrEnable | kCommandInterruptDisable;
  writable_[kConfigCommand] = static_cast<uint8_t>(kCommandWritable);
  writable_[kConfigCommand + 1] = kCommandWritable >> 8;
  writable_[kConfigInterruptLine] = 0xff;  // A note of the guest's to itself.
}

absl::StatusOr<uint32_t> ConfigSpace::AddCapability(
    absl::Span<const uint8_t> capability, absl::Span<const uint8_t> writable) {
  if (capability.size() < 2 ||
      (!writable.empty() && writable.size() != capability.size())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PCI capability of %d bytes with a mask of %d bytes",
                        capability.size(), writable.size()));
  }
  if (capability.size() > kCapabilitiesEnd - next_capability_) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "PCI capability %#x of %d bytes does not fit: %d bytes left",
        capability[0], capability.size(), kCapabilitiesEnd - next_capability_));
  }
  const uint32_t offset = next_capability_;
  std::copy(capability.begin(), capability.end(), bytes_.begin() + offset);
  std::copy(writable.begin(), writable.end(), writable_.begin() + offset);
  bytes_[last_link_] = static_cast<uint8_t>(offset);
  last_link_ = offset + 1;
  bytes_[last_link_] = 0;
  next_capability_ = std::min<uint32_t>(kCapabilitiesEnd,
                                        (offset + capability.size() + 3) & ~3u);
  Set16(kConfigStatus, Get16(kConfigStatus) | kStatusCapabilitiesList);
  return offset;
}

absl::Status ConfigSpace::AddMemoryBar(uint32_t bar, uint64_t size,
                                       memory::GuestAddress address) {
  if ((bar != 0 && bar != 2 && bar != 4) || size < 16 ||
      !std::has_single_bit(size) || !address.IsAligned(size)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "PCI BAR %d of %#x bytes at %#x", bar, size, address.value()));
  }
  const uint32_t low = BarOffset(bar);
  Set32(low, static_cast<uint32_t>(address.value()) | kBarMemory64);
  Set32(low + 4, static_cast<uint32_t>(address.value() >> 32));
  const uint64_t mask = ~(size - 1);
  for (uint32_t i = 0; i < 8; ++i) {
    writable_[low + i] = static_cast<uint8_t>(mask >> (8 * i));
  }
  return absl::OkStatus();
}

void ConfigSpace::Read(uint32_t offset, absl::Span<uint8_t> data) const {
  for (size_t i = 0; i < data.size(); ++i) {
    const size_t at = size_t{offset} + i;
    data[i] = at < kSize ? bytes_[at] : 0;
  }
}

void ConfigSpace::Write(uint32_t offset, absl::Span<const uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    const size_t at = size_t{offset} + i;
    if (at >= kSize) return;
    bytes_[at] = (bytes_[at] & ~writable_[at]) | (data[i] & writable_[at]);
  }
}

std::optional<memory::GuestAddress> ConfigSpace::BarAddress(
    uint32_t bar) const {
  if ((Get16(kConfigCommand) & kCommandMemorySpace) == 0) return std::nullopt;
  const uint64_t address =
      (uint64_t{Get32(BarOffset(bar) + 4)} << 32 | Get32(BarOffset(bar))) &
      ~uint64_t{0xf};
  if (address == 0) return std::nullopt;
  return memory::GuestAddress(address);
}

uint16_t ConfigSpace::Get16(uint32_t offset) const {
  return static_cast<uint16_t>(bytes_[offset] | bytes_[offset + 1] << 8);
}

uint32_t ConfigSpace::Get32(uint32_t offset) const {
  return Get16(offset) | uint32_t{Get16(offset + 2)} << 16;
}

void ConfigSpace::Set16(uint32_t offset, uint16_t value) {
  bytes_[offset] = static_cast<uint8_t>(value);
  bytes_[offset + 1] = static_cast<uint8_t>(value >> 8);
}

void ConfigSpace::Set32(uint32_t offset, uint32_t value) {
  Set16(offset, static_cast<uint16_t>(value));
  Set16(offset + 2, static_cast<uint16_t>(value >> 16));
}

}  // namespace annulus::pci
