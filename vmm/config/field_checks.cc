#include "vmm/config/field_checks.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace annulus {

absl::Status WrongField(absl::string_view field, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", reason));
}

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low,
                        uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return WrongField(field, absl::StrCat(value, " is not in ", low, "..", high));
}

absl::Status CheckPath(absl::string_view field, absl::string_view path,
                       size_t max_length) {
  if (path.size() > max_length) {
    return WrongField(
        field, absl::StrCat(path.size(), " bytes are more than ", max_length));
  }
  if (path.find('\0') != absl::string_view::npos) {
    return WrongField(field, "contains a NUL byte");
  }
  return absl::OkStatus();
}

absl::Status CheckSocketPath(absl::string_view field, absl::string_view path,
                             size_t suffix) {
  if (path == "@") return WrongField(field, "\"@\" alone is not a name");
  return CheckPath(field, path, kMaxSocketPath - suffix);
}

absl::Status CheckFd(absl::string_view field, uint32_t fd) {
  return CheckRange(field, fd, kMinFd, kMaxFd);
}

std::string Quoted(absl::string_view untrusted) {
  constexpr size_t kMaxShown = 64;
  return absl::StrCat("\"", absl::CHexEscape(untrusted.substr(0, kMaxShown)),
                      untrusted.size() > kMaxShown ? "..." : "", "\"");
}

}  // namespace annulus
