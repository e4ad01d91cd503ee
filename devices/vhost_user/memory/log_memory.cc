#include "devices/vhost_user/memory/log_memory.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace annulus::vhost_user {

absl::StatusOr<std::unique_ptr<LogMemory>> LogMemory::Map(
    const LogDescription& description, const UniqueFd& fd,
    const EventFd& lost) {
  if (description.size % 8 != 0 || description.offset % 8 != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a log of %u bytes at %#x has no whole 64-bit numbers",
                        description.size, description.offset));
  }
  if (description.size > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a log of %u bytes, where at most %u are possible",
                        description.size, kMaxBytes));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      memory::GuardedMapping mapping,
      memory::GuardedMapping::Map(fd.get(), description.offset,
                                  description.size, lost));
  return std::unique_ptr<LogMemory>(new LogMemory(std::move(mapping)));
}

LogMemory::LogMemory(memory::GuardedMapping mapping)
    : mapping_(std::move(mapping)), log_(mapping_.data(), mapping_.size()) {}

}  // namespace annulus::vhost_user
