#include "cli/jail/jail_limits.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace annulus::cli {
namespace {

absl::Status Set(__rlimit_resource resource, absl::string_view flag,
                 uint64_t value) {
  const rlimit limit = {value, value};
  if (::setrlimit(resource, &limit) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(
      errno, absl::StrCat(flag, ": setting the limit to ", value,
                          " (see ulimit -a -H for the highest)"));
}

}  // namespace

absl::Status SetLimits(const JailOptions& options) {
  ANNULUS_RETURN_IF_ERROR(Set(RLIMIT_CORE, "jail", 0));
  if (options.open_files.has_value()) {
    ANNULUS_RETURN_IF_ERROR(
        Set(RLIMIT_NOFILE, "--nofile", *options.open_files));
  }
  if (options.file_size.has_value()) {
    ANNULUS_RETURN_IF_ERROR(Set(RLIMIT_FSIZE, "--fsize", *options.file_size));
  }
  return absl::OkStatus();
}

}  // namespace annulus::cli
