#include "vmm/acpi/sdt_builder.h"

#include <cstddef>

#include "base/check.h"

namespace annulus::acpi {
namespace {

// Offsets in the header.
constexpr size_t kLengthOffset = 4;
constexpr size_t kChecksumOffset = 9;

constexpr absl::string_view kOemId = "ANNULS";         // Six characters.
constexpr absl::string_view kOemTableId = "ANNULUSV";  // Eight.
constexpr absl::string_view kCreatorId = "ANLS";

void AppendText(std::vector<uint8_t>& to, absl::string_view text) {
  to.insert(to.end(), text.begin(), text.end());
}

}  // namespace

uint8_t AcpiChecksum(absl::Span<const uint8_t> bytes) {
  uint8_t sum = 0;
  for (const uint8_t byte : bytes) sum = static_cast<uint8_t>(sum + byte);
  return static_cast<uint8_t>(-sum);
}

SdtBuilder::SdtBuilder(absl::string_view signature, uint8_t revision) {
  ANNULUS_CHECK(signature.size() == 4);
  AppendText(table_, signature);
  Append(0, 4);  // Length, see Finish().
  Append(revision, 1);
  Append(0, 1);  // Checksum, see Finish().
  AppendText(table_, kOemId);
  AppendText(table_, kOemTableId);
  Append(1, 4);  // OEM revision.
  AppendText(table_, kCreatorId);
  Append(1, 4);  // Creator revision.
  ANNULUS_CHECK(table_.size() == kSdtHeaderSize);
}

SdtBuilder& SdtBuilder::Append(uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    table_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  return *this;
}

SdtBuilder& SdtBuilder::Append(absl::Span<const uint8_t> bytes) {
  table_.insert(table_.end(), bytes.begin(), bytes.end());
  return *this;
}

SdtBuilder& SdtBuilder::AppendZeros(size_t size) {
  table_.insert(table_.end(), size, 0);
  return *this;
}

std::vector<uint8_t> SdtBuilder::Finish() && {
  for (size_t i = 0; i < 4; ++i) {
    table_[kLengthOffset + i] = static_cast<uint8_t>(table_.size() >> (8 * i));
  }
  table_[kChecksumOffset] = AcpiChecksum(table_);
  return std::move(table_);
}

}  // namespace annulus::acpi
