#ifndef DEVICES_VHOST_USER_MEMORY_LOG_MEMORY_H_
#define DEVICES_VHOST_USER_MEMORY_LOG_MEMORY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "memory/dirty_log.h"
#include "memory/guarded_mapping.h"

namespace annulus::vhost_user {

// The log of VHOST_USER_SET_LOG_BASE, in which the front-end finds the pages
// that the device wrote ("Migration").
//
// Threads: as DirtyLog.
// Trust: the description is untrusted. A log that is too small for the guest's
//   memory loses the pages beyond it, to the front-end's own harm.
class LogMemory {
 public:
  // Enough for 2^51 bytes of guest memory.
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 36;

  // `lost` is signalled when the file is cut off; outlives this.
  // InvalidArgument for what is no such piece of the file, larger than
  // kMaxBytes, or not of whole 64-bit numbers.
  static absl::StatusOr<std::unique_ptr<LogMemory>> Map(
      const LogDescription& description, const UniqueFd& fd,
      const EventFd& lost);

  memory::DirtyLog& log() { return log_; }
  bool lost() const { return mapping_.lost(); }

 private:
  explicit LogMemory(memory::GuardedMapping mapping);

  memory::GuardedMapping mapping_;
  memory::DirtyLog log_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_MEMORY_LOG_MEMORY_H_
