#include "cli/jail/jail_step.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace annulus::cli {

absl::Status CheckStep(long result, absl::string_view step) {
  return result >= 0 ? absl::OkStatus()
                     : absl::ErrnoToStatus(errno, absl::StrCat("jail: ", step));
}

absl::Status WriteKernelFile(const std::string& path,
                             const std::string& value) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), value.data(), value.size()) ==
                        static_cast<ssize_t>(value.size())) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno,
                             absl::StrCat("writing ", value, " to ", path));
}

}  // namespace annulus::cli
