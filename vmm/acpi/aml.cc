#include "vmm/acpi/aml.h"

#include <cstddef>

#include "base/check.h"

namespace annulus::acpi {
namespace {

// §20.2 opcodes and prefixes.
constexpr uint8_t kZeroOp = 0x00;
constexpr uint8_t kOneOp = 0x01;
constexpr uint8_t kNameOp = 0x08;
constexpr uint8_t kBytePrefix = 0x0a;
constexpr uint8_t kWordPrefix = 0x0b;
constexpr uint8_t kDWordPrefix = 0x0c;
constexpr uint8_t kStringPrefix = 0x0d;
constexpr uint8_t kQWordPrefix = 0x0e;
constexpr uint8_t kScopeOp = 0x10;
constexpr uint8_t kBufferOp = 0x11;
constexpr uint8_t kPackageOp = 0x12;
constexpr uint8_t kMethodOp = 0x14;
constexpr uint8_t kExtOpPrefix = 0x5b;
constexpr uint8_t kDeviceOp = 0x82;
constexpr uint8_t kNotifyOp = 0x86;

constexpr size_t kNameSegmentSize = 4;

void Append(Aml& to, absl::Span<const uint8_t> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void AppendLittleEndian(Aml& to, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    to.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
}

// §20.2.4 "Package Length Encoding". The length counts its own bytes; with one
// byte it has 6 bits, with more the first gives 4 bits and each further one 8.
Aml PackageLength(size_t content_size) {
  if (content_size + 1 < (1 << 6)) {
    return {static_cast<uint8_t>(content_size + 1)};
  }
  size_t further = 1;
  while (content_size + 1 + further >= size_t{1} << (4 + 8 * further)) {
    ++further;
  }
  ANNULUS_CHECK(further <= 3);
  const size_t length = content_size + 1 + further;
  Aml aml = {static_cast<uint8_t>(further << 6 | (length & 0xf))};
  AppendLittleEndian(aml, length >> 4, further);
  return aml;
}

Aml WithLength(const Aml& opcode, const Aml& content) {
  Aml aml = opcode;
  Append(aml, PackageLength(content.size()));
  Append(aml, content);
  return aml;
}

Aml NameString(absl::string_view name) {
  Aml aml;
  size_t room = kNameSegmentSize;
  for (const char c : name) {
    if (c == '\\') {
      ANNULUS_CHECK(aml.empty());
      aml.push_back('\\');
      continue;
    }
    const bool letter = (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9' && room < kNameSegmentSize;
    ANNULUS_CHECK((letter || digit) && room > 0);
    aml.push_back(static_cast<uint8_t>(c));
    --room;
  }
  ANNULUS_CHECK(room < kNameSegmentSize);
  aml.insert(aml.end(), room, '_');
  return aml;
}

Aml Named(const Aml& opcode, absl::string_view name,
          const std::vector<Aml>& terms) {
  Aml content = NameString(name);
  for (const Aml& term : terms) Append(content, term);
  return WithLength(opcode, content);
}

uint32_t HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  ANNULUS_CHECK(c >= 'A' && c <= 'F');
  return static_cast<uint32_t>(c - 'A') + 10;
}

}  // namespace

Aml AmlInteger(uint64_t value) {
  if (value == 0) return {kZeroOp};
  if (value == 1) return {kOneOp};
  Aml aml;
  if (value <= UINT8_MAX) {
    aml.push_back(kBytePrefix);
    AppendLittleEndian(aml, value, 1);
  } else if (value <= UINT16_MAX) {
    aml.push_back(kWordPrefix);
    AppendLittleEndian(aml, value, 2);
  } else if (value <= UINT32_MAX) {
    aml.push_back(kDWordPrefix);
    AppendLittleEndian(aml, value, 4);
  } else {
    aml.push_back(kQWordPrefix);
    AppendLittleEndian(aml, value, 8);
  }
  return aml;
}

Aml AmlString(absl::string_view text) {
  Aml aml = {kStringPrefix};
  for (const char c : text) {
    ANNULUS_CHECK(c >= ' ' && c <= '~');
    aml.push_back(static_cast<uint8_t>(c));
  }
  aml.push_back(0);
  return aml;
}

Aml AmlEisaId(absl::string_view id) {
  ANNULUS_CHECK(id.size() == 7);
  uint32_t letters = 0;  // Five bits each.
  for (const char c : id.substr(0, 3)) {
    ANNULUS_CHECK(c >= 'A' && c <= 'Z');
    letters = letters << 5 | static_cast<uint32_t>(c - 'A' + 1);
  }
  uint32_t number = 0;
  for (const char c : id.substr(3)) number = number << 4 | HexDigit(c);
  // Both halves are stored with their upper byte first; always as a DWord, as
  // the macro does.
  Aml aml = {kDWordPrefix};
  AppendLittleEndian(aml, __builtin_bswap32(letters << 16 | number), 4);
  return aml;
}

Aml AmlBuffer(absl::Span<const uint8_t> bytes) {
  Aml content = AmlInteger(bytes.size());
  Append(content, bytes);
  return WithLength({kBufferOp}, content);
}

Aml AmlPackage(const std::vector<Aml>& elements) {
  ANNULUS_CHECK(elements.size() <= UINT8_MAX);
  Aml content = {static_cast<uint8_t>(elements.size())};
  for (const Aml& element : elements) Append(content, element);
  return WithLength({kPackageOp}, content);
}

Aml AmlName(absl::string_view name, const Aml& value) {
  Aml aml = {kNameOp};
  Append(aml, NameString(name));
  Append(aml, value);
  return aml;
}

Aml AmlScope(absl::string_view name, const std::vector<Aml>& terms) {
  return Named({kScopeOp}, name, terms);
}

Aml AmlDevice(absl::string_view name, const std::vector<Aml>& terms) {
  return Named({kExtOpPrefix, kDeviceOp}, name, terms);
}

Aml AmlMethod(absl::string_view name, uint8_t arguments,
              const std::vector<Aml>& terms) {
  // §20.2.5.2 "Named Objects Encoding": MethodFlags.
  constexpr uint8_t kSerialized = 1 << 3;
  ANNULUS_CHECK(arguments <= 7);
  std::vector<Aml> content = {{static_cast<uint8_t>(arguments | kSerialized)}};
  content.insert(content.end(), terms.begin(), terms.end());
  return Named({kMethodOp}, name, content);
}

Aml AmlNotify(absl::string_view name, uint64_t value) {
  Aml aml = {kNotifyOp};
  Append(aml, NameString(name));
  Append(aml, AmlInteger(value));
  return aml;
}

}  // namespace annulus::acpi
