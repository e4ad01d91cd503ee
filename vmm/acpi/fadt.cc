#include "vmm/acpi/fadt.h"

#include <cstddef>
#include <utility>

#include "base/check.h"
#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {
namespace {

constexpr uint8_t kRevision = 6;
constexpr uint8_t kMinorRevision = 5;
constexpr size_t kFadtSize = 276;

// Table 5.10 "Fixed ACPI Description Table Fixed Feature Flags".
constexpr uint32_t kWbinvd = 1 << 0;
constexpr uint32_t kPwrButton = 1 << 4;       // No fixed power button.
constexpr uint32_t kSlpButton = 1 << 5;       // No fixed sleep button.
constexpr uint32_t kResetRegSup = 1 << 10;    // RESET_REG_SUP
constexpr uint32_t kHwReducedAcpi = 1 << 20;  // HW_REDUCED_ACPI

// Table 5.11 "Fixed ACPI Description Table Boot IA-PC Boot Architecture Flags".
// Bit 1, "8042", stays 0: there is no keyboard that is worth a probe.
constexpr uint16_t kVgaNotPresent = 1 << 2;
constexpr uint16_t kPcieAspmControls = 1 << 4;  // The OS must leave ASPM alone.
constexpr uint16_t kCmosRtcNotPresent = 1 << 5;

// §5.2.3.2 "Generic Address Structure" of one 8-bit port.
void AppendPort(SdtBuilder& fadt, uint16_t port) {
  fadt.Append(1, 1)      // System I/O space.
      .Append(8, 1)      // Register bit width.
      .Append(0, 1)      // Register bit offset.
      .Append(1, 1)      // Byte access.
      .Append(port, 8);  // Address.
}

// Zero bytes up to the field that the specification has at `offset`.
void SkipTo(SdtBuilder& fadt, size_t offset) {
  ANNULUS_CHECK(fadt.size() <= offset);
  fadt.AppendZeros(offset - fadt.size());
}

}  // namespace

std::vector<uint8_t> BuildFadt(const AcpiConfig& config,
                               memory::GuestAddress dsdt) {
  SdtBuilder fadt("FACP", kRevision);
  // DSDT, the 32-bit one, is left 0, as is everything about PM hardware.
  SkipTo(fadt, 109);  // IAPC_BOOT_ARCH
  fadt.Append(kVgaNotPresent | kPcieAspmControls |
                  (config.rtc ? 0 : kCmosRtcNotPresent),
              2);
  SkipTo(fadt, 112);  // Flags
  fadt.Append(kWbinvd | kPwrButton | kSlpButton | kResetRegSup | kHwReducedAcpi,
              4);
  SkipTo(fadt, 116);  // RESET_REG
  AppendPort(fadt, config.reset_port);
  fadt.Append(config.reset_value, 1);
  SkipTo(fadt, 131);  // FADT Minor Version
  fadt.Append(kMinorRevision, 1);
  SkipTo(fadt, 140);  // X_DSDT
  fadt.Append(dsdt.value(), 8);
  SkipTo(fadt, 244);  // SLEEP_CONTROL_REG
  AppendPort(fadt, config.sleep_control_port);
  SkipTo(fadt, 256);  // SLEEP_STATUS_REG
  AppendPort(fadt, config.sleep_status_port);
  SkipTo(fadt, kFadtSize);  // Hypervisor Vendor Identity: none registered.
  return std::move(fadt).Finish();
}

}  // namespace annulus::acpi
