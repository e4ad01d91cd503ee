#include "vmm/acpi/root_tables.h"

#include <cstddef>
#include <utility>

#include "absl/strings/string_view.h"
#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {
namespace {

constexpr size_t kRsdpSize = 36;
constexpr size_t kRsdpVersion1Size = 20;  // What the first checksum covers.
constexpr size_t kRsdpChecksumOffset = 8;
constexpr size_t kRsdpExtendedChecksumOffset = 32;
constexpr size_t kRsdpXsdtOffset = 24;

}  // namespace

std::vector<uint8_t> BuildRsdp(memory::GuestAddress xsdt) {
  // Zero are the checksums, and the address of the RSDT that we do without.
  constexpr absl::string_view kSignature = "RSD PTR ";
  constexpr absl::string_view kOemId = "ANNULS";
  std::vector<uint8_t> rsdp(kRsdpSize);
  for (size_t i = 0; i < kSignature.size(); ++i) rsdp[i] = kSignature[i];
  for (size_t i = 0; i < kOemId.size(); ++i) rsdp[9 + i] = kOemId[i];
  rsdp[15] = 2;  // Revision.
  rsdp[20] = kRsdpSize;
  for (size_t i = 0; i < 8; ++i) {
    rsdp[kRsdpXsdtOffset + i] = static_cast<uint8_t>(xsdt.value() >> (8 * i));
  }
  const absl::Span<const uint8_t> all = rsdp;
  rsdp[kRsdpChecksumOffset] = AcpiChecksum(all.first(kRsdpVersion1Size));
  rsdp[kRsdpExtendedChecksumOffset] = AcpiChecksum(all);
  return rsdp;
}

std::vector<uint8_t> BuildXsdt(absl::Span<const memory::GuestAddress> tables) {
  SdtBuilder xsdt("XSDT", 1);
  for (const memory::GuestAddress table : tables) {
    xsdt.Append(table.value(), 8);
  }
  return std::move(xsdt).Finish();
}

}  // namespace annulus::acpi
