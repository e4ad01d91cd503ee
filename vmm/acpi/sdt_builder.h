#ifndef VMM_ACPI_SDT_BUILDER_H_
#define VMM_ACPI_SDT_BUILDER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace annulus::acpi {

// Bytes 0 to 35 of every table but the RSDP.
inline constexpr size_t kSdtHeaderSize = 36;

// The byte that makes the sum of `bytes` and itself 0 modulo 256.
uint8_t AcpiChecksum(absl::Span<const uint8_t> bytes);

// Builds one system description table: the header of ACPI 6.5 §5.2.6 "System
// Description Table Header", then whatever is appended, little-endian.
class SdtBuilder {
 public:
  // REQUIRES: `signature` has four characters.
  SdtBuilder(absl::string_view signature, uint8_t revision);

  // The lowest `size` bytes of `value`.
  SdtBuilder& Append(uint64_t value, size_t size);
  SdtBuilder& Append(absl::Span<const uint8_t> bytes);
  SdtBuilder& AppendZeros(size_t size);

  // Where the next byte goes.
  size_t size() const { return table_.size(); }

  // The table with its length and checksum.
  std::vector<uint8_t> Finish() &&;

 private:
  std::vector<uint8_t> table_;
};

}  // namespace annulus::acpi

#endif  // VMM_ACPI_SDT_BUILDER_H_
