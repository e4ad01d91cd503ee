#include "cli/file_limit.h"

#include <sys/resource.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace annulus::cli {
namespace {

// Of a machine without connections: of vCPUs, queues, and callers that have not
// said yet whom they want.
constexpr uint64_t kOtherDescriptors = 512;

}  // namespace

absl::StatusOr<uint64_t> RaiseFileLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return absl::ErrnoToStatus(errno, "reading RLIMIT_NOFILE");
  }
  if (limit.rlim_cur == limit.rlim_max) return limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("raising RLIMIT_NOFILE to ", limit.rlim_max));
  }
  return limit.rlim_cur;
}

std::optional<std::string> FileLimitWarning(const VmConfig& config,
                                            uint64_t limit) {
  if (!config.vsock.has_value()) return std::nullopt;
  const uint64_t connections = config.vsock->max_connections;
  const uint64_t needed = connections + kOtherDescriptors;
  if (limit >= needed) return std::nullopt;
  return absl::StrCat("vsock.max_connections: ", connections,
                      " connections may need ", needed,
                      " descriptors, but the host allows ", limit,
                      " (RLIMIT_NOFILE, ulimit -Hn): further connections will "
                      "be refused");
}

}  // namespace annulus::cli
