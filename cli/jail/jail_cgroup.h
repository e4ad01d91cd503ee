#ifndef CLI_JAIL_JAIL_CGROUP_H_
#define CLI_JAIL_JAIL_CGROUP_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {

// A group of cgroup v2 that ends with the VM for which it was made.
//
// Threads: thread-compatible.
class JailCgroup {
 public:
  // Makes it and sets its limits; none is made if `options` has need of none.
  // Errors name the file and what could help.
  static absl::StatusOr<JailCgroup> Create(const JailOptions& options);

  JailCgroup() = default;  // None.
  JailCgroup(JailCgroup&& other) noexcept;
  JailCgroup& operator=(JailCgroup&& other) noexcept;
  // Removes it. REQUIRES: its processes have ended.
  ~JailCgroup() { Remove(); }

  // It is somebody else's to remove.
  void Release() { path_.clear(); }

  // Moves a process into it; a no-op without one.
  absl::Status Add(pid_t pid) const;

 private:
  void Remove();
  absl::Status SetLimits(const JailOptions& options) const;
  absl::Status SetLimit(absl::string_view controller, absl::string_view file,
                        const std::string& value) const;

  std::string path_;  // Empty: none.
};

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_CGROUP_H_
