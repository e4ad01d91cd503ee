#include "vmm/acpi/acpi_tables.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "vmm/acpi/dsdt.h"
#include "vmm/acpi/fadt.h"
#include "vmm/acpi/madt.h"
#include "vmm/acpi/mcfg.h"
#include "vmm/acpi/root_tables.h"

namespace annulus::acpi {
namespace {

using memory::GuestAddress;

constexpr uint32_t kMaxCpus = 255;  // APIC ids 0 to 254.
constexpr uint64_t k4GiB = uint64_t{1} << 32;
constexpr uint64_t kAlignment = 16;

absl::Status CheckBelow4GiB(absl::string_view what, GuestAddress base,
                            uint64_t size) {
  if (RangeFits(base.value(), size, k4GiB)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("ACPI tables: %s at %#x of %u bytes reaches beyond 4 GiB",
                      what, base.value(), size));
}

absl::Status CheckPci(const AcpiConfig& config) {
  if (config.ecam.size % kEcamBusSize != 0 ||
      config.ecam.size / kEcamBusSize > 256) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "ACPI tables: ECAM of %u bytes is not 0 to 256 buses of 1 MiB",
        config.ecam.size));
  }
  ANNULUS_RETURN_IF_ERROR(
      CheckBelow4GiB("ECAM", config.ecam.base, config.ecam.size));
  ANNULUS_RETURN_IF_ERROR(CheckBelow4GiB("32-bit PCI window",
                                         config.pci_window_32.base,
                                         config.pci_window_32.size));
  const AcpiWindow& window = config.pci_window_64;
  if (!RangeFits(window.base.value(), window.size, UINT64_MAX)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("ACPI tables: 64-bit PCI window at %#x of %u bytes "
                        "wraps",
                        window.base.value(), window.size));
  }
  return absl::OkStatus();
}

absl::Status CheckConfig(const AcpiConfig& config) {
  if (config.cpu_count == 0 || config.cpu_count > kMaxCpus) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "ACPI tables: %u CPUs, not 1 to %u", config.cpu_count, kMaxCpus));
  }
  if (config.s5_sleep_type > 7) {
    return absl::InvalidArgumentError(
        absl::StrFormat("ACPI tables: S5 sleep type %u has more than 3 bits",
                        config.s5_sleep_type));
  }
  ANNULUS_RETURN_IF_ERROR(CheckPci(config));
  if (config.mmio_devices.size() > kMaxMmioDevices) {
    return absl::InvalidArgumentError(
        absl::StrFormat("ACPI tables: %u virtio-mmio devices, not up to %u",
                        config.mmio_devices.size(), kMaxMmioDevices));
  }
  for (const AcpiMmioDevice& device : config.mmio_devices) {
    if (device.size == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("ACPI tables: virtio-mmio device at %#x is empty",
                          device.base.value()));
    }
    ANNULUS_RETURN_IF_ERROR(
        CheckBelow4GiB("virtio-mmio device", device.base, device.size));
  }
  return absl::OkStatus();
}

// Puts one table behind the other, the first at kTablesStart.
class TableWriter {
 public:
  explicit TableWriter(const memory::GuestMemory& memory) : memory_(memory) {}

  absl::StatusOr<GuestAddress> Write(const std::vector<uint8_t>& table) {
    const GuestAddress address = next_;
    if (!RangeFits<uint64_t>(address.value(), table.size(),
                             kTablesEnd.value())) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "ACPI tables: more than %u bytes, with too many devices",
          kTablesEnd.value() - kTablesStart.value()));
    }
    if (!memory_.Write(address, table)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "ACPI tables: %#x is not guest RAM", address.value()));
    }
    next_ = GuestAddress((address.value() + table.size() + kAlignment - 1) &
                         ~(kAlignment - 1));
    return address;
  }

 private:
  const memory::GuestMemory& memory_;
  GuestAddress next_ = kTablesStart;
};

}  // namespace

absl::StatusOr<GuestAddress> WriteAcpiTables(const memory::GuestMemory& memory,
                                             const AcpiConfig& config) {
  ANNULUS_RETURN_IF_ERROR(CheckConfig(config));
  TableWriter writer(memory);
  // Takes the RSDP's place; it is written last, when it is known what to say.
  ANNULUS_ASSIGN_OR_RETURN(const GuestAddress rsdp,
                           writer.Write(BuildRsdp(GuestAddress())));
  ANNULUS_ASSIGN_OR_RETURN(const GuestAddress dsdt,
                           writer.Write(BuildDsdt(config)));
  std::vector<GuestAddress> tables;
  std::vector<std::vector<uint8_t>> contents = {BuildFadt(config, dsdt),
                                                BuildMadt(config)};
  if (config.ecam.size != 0) contents.push_back(BuildMcfg(config));
  for (const std::vector<uint8_t>& content : contents) {
    ANNULUS_ASSIGN_OR_RETURN(const GuestAddress table, writer.Write(content));
    tables.push_back(table);
  }
  ANNULUS_ASSIGN_OR_RETURN(const GuestAddress xsdt,
                           writer.Write(BuildXsdt(tables)));
  if (!memory.Write(rsdp, BuildRsdp(xsdt))) {
    return absl::InternalError("ACPI tables: cannot write the RSDP");
  }
  return rsdp;
}

}  // namespace annulus::acpi
