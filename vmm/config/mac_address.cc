#include "vmm/config/mac_address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace annulus {

std::optional<MacBytes> ParseMac(absl::string_view text) {
  constexpr size_t kCharactersPerByte = 3;  // "52:"
  MacBytes mac;
  if (text.size() != mac.size() * kCharactersPerByte - 1) return std::nullopt;
  for (size_t i = 0; i < mac.size(); ++i) {
    const absl::string_view digits = text.substr(i * kCharactersPerByte, 2);
    for (const char digit : digits) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(digit))) {
        return std::nullopt;
      }
    }
    if (i > 0 && text[i * kCharactersPerByte - 1] != ':') return std::nullopt;
    uint32_t value = 0;
    if (!absl::SimpleHexAtoi(digits, &value)) return std::nullopt;
    mac[i] = static_cast<uint8_t>(value);
  }
  return mac;
}

std::string FormatMac(const MacBytes& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

}  // namespace annulus
