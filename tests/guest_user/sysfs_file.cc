#include "tests/guest_user/sysfs_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace annulus::guest_user {

absl::StatusOr<std::string> ReadText(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t count =
      file.valid() ? ::read(file.get(), text, sizeof(text)) : -1;
  if (count < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("reading ", path));
  }
  return std::string(absl::StripAsciiWhitespace(
      absl::string_view(text, static_cast<size_t>(count))));
}

absl::StatusOr<uint64_t> ReadNumber(const std::string& path) {
  ANNULUS_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  uint64_t number = 0;
  if (absl::SimpleAtoi(text, &number) || absl::SimpleHexAtoi(text, &number)) {
    return number;
  }
  return absl::InternalError(absl::StrCat(path, " holds no number"));
}

absl::Status WriteText(const std::string& path, absl::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || ::write(file.get(), text.data(), text.size()) !=
                           static_cast<ssize_t>(text.size())) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("writing \"", text, "\" to ", path));
  }
  return absl::OkStatus();
}

}  // namespace annulus::guest_user
