#ifndef CLI_JAIL_JAIL_OPTIONS_H_
#define CLI_JAIL_JAIL_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace annulus::cli {

// What `annulus jail` leaves to one VM.
struct JailOptions {
  // Whose process it is. Nothing: those of nobody if root starts it, else of
  // who does.
  std::optional<uint32_t> user;
  std::optional<uint32_t> group;
  bool network = false;  // That of the host, in place of an empty one.

  // A group of cgroup v2 that is made for the VM: a path below the hierarchy,
  // or without "/" in front a name below the group of this process. Empty: none
  // is made, if there is no limit either.
  std::string cgroup;
  std::optional<uint64_t> memory_max;
  std::optional<uint32_t> cpu_percent;  // 100 is one CPU.
  std::optional<uint32_t> pids_max;

  std::optional<uint64_t> open_files;  // RLIMIT_NOFILE
  std::optional<uint64_t> file_size;   // RLIMIT_FSIZE
};

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_OPTIONS_H_
