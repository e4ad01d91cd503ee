#ifndef VMM_MACHINE_ADDRESS_MAP_H_
#define VMM_MACHINE_ADDRESS_MAP_H_

#include <cstdint>

#include "memory/guest_address.h"

namespace annulus {

// Where everything of the machine lies that is not RAM. RAM ends at
// GuestRam::kHoleStart, or goes on at 4 GiB.
//
//   0xc0000000  BARs of PCI functions        0xfec00000  IOAPIC (KVM)
//   0xe0000000  ECAM of bus 0                0xfee00000  local APICs (KVM)
//   0xe8000000  virtio-mmio windows          0xfffbc000  four pages of KVM's
//   own above RAM   BARs that are 64-bit

// Windows into which the guest places PCI BARs.
inline constexpr memory::GuestAddress kPciWindow32{0xc0000000};
inline constexpr uint64_t kPciWindow32Size = 0x20000000;
inline constexpr uint64_t kPciWindow64Size = uint64_t{64} << 30;

// Configuration space of bus 0.
inline constexpr memory::GuestAddress kEcam{0xe0000000};

// One page each, so that a guest could map them to user space one by one.
inline constexpr memory::GuestAddress kVirtioMmio{0xe8000000};
inline constexpr uint32_t kVirtioMmioStride = 0x1000;
// GSIs 16 to 23: no ISA device has them.
inline constexpr uint32_t kVirtioMmioFirstGsi = 16;
inline constexpr uint32_t kMaxVirtioMmioDevices = 8;

// The power button's, which ACPI tells of. Of the ISA devices that have this
// GSI there are none.
inline constexpr uint32_t kPowerButtonGsi = 9;

// KVM wants these for itself on Intel hosts.
inline constexpr memory::GuestAddress kIdentityMap{0xfffbc000};
inline constexpr memory::GuestAddress kTss{0xfffbd000};

}  // namespace annulus

#endif  // VMM_MACHINE_ADDRESS_MAP_H_
