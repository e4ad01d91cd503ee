#include "devices/virtio/vsock/backend/port_line.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "absl/strings/match.h"

namespace annulus::virtio {
namespace {

constexpr absl::string_view kWhiteSpace = " \t\r\v\f";

// Takes the next word off `text`; empty: there is none.
absl::string_view TakeWord(absl::string_view& text) {
  text.remove_prefix(
      std::min(text.find_first_not_of(kWhiteSpace), text.size()));
  const absl::string_view word =
      text.substr(0, text.find_first_of(kWhiteSpace));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<uint32_t> ParsePortNumber(absl::string_view text) {
  uint32_t port = 0;
  const char* const end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, port);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return port;
}

std::optional<uint32_t> ParsePortLine(absl::string_view keyword,
                                      absl::string_view line) {
  if (!absl::EqualsIgnoreCase(TakeWord(line), keyword)) return std::nullopt;
  const std::optional<uint32_t> port = ParsePortNumber(TakeWord(line));
  if (!TakeWord(line).empty()) return std::nullopt;
  return port;
}

}  // namespace annulus::virtio
