#ifndef VMM_CONFIG_MAC_ADDRESS_H_
#define VMM_CONFIG_MAC_ADDRESS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace annulus {

// The address of a network card, as people write it: "52:54:00:12:34:56".

using MacBytes = std::array<uint8_t, 6>;

// Six pairs of hexadecimal digits with colons between; nullopt: it is not.
std::optional<MacBytes> ParseMac(absl::string_view text);

std::string FormatMac(const MacBytes& mac);

// Of a group, broadcast among them: no card can have it.
constexpr bool IsGroupMac(const MacBytes& mac) { return (mac[0] & 1) != 0; }

// Of one card, locally administered (IEEE 802), otherwise as random as
// `random` is.
constexpr MacBytes LocalMac(MacBytes random) {
  random[0] = static_cast<uint8_t>((random[0] & ~1u) | 2u);
  return random;
}

}  // namespace annulus

#endif  // VMM_CONFIG_MAC_ADDRESS_H_
