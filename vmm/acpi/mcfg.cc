#include "vmm/acpi/mcfg.h"

#include <utility>

#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {

std::vector<uint8_t> BuildMcfg(const AcpiConfig& config) {
  SdtBuilder mcfg("MCFG", 1);
  mcfg.AppendZeros(8)
      .Append(config.ecam.base.value(), 8)
      .Append(0, 2)                                    // Segment group.
      .Append(0, 1)                                    // First bus.
      .Append(config.ecam.size / kEcamBusSize - 1, 1)  // Last bus.
      .AppendZeros(4);
  return std::move(mcfg).Finish();
}

}  // namespace annulus::acpi
