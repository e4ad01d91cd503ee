#include "cli/jail/jail_cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cli/jail/jail_step.h"

namespace annulus::cli {
namespace {

constexpr mode_t kMode = 0755;

bool Wanted(const JailOptions& options) {
  return !options.cgroup.empty() || options.memory_max.has_value() ||
         options.cpu_percent.has_value() || options.pids_max.has_value();
}

// Where a cgroup v2 hierarchy is mounted: the first of them.
absl::StatusOr<std::string> Hierarchy() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() > 2 && words[2] == "cgroup2") return words[1];
  }
  return absl::NotFoundError(
      "--cgroup: no cgroup v2 is mounted (mount -t cgroup2 none DIRECTORY)");
}

// That of this process, from the root of the hierarchy: "/user.slice".
std::string OwnGroup() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    absl::string_view group = line;
    if (absl::ConsumePrefix(&group, "0::")) return std::string(group);
  }
  return "/";
}

}  // namespace

absl::StatusOr<JailCgroup> JailCgroup::Create(const JailOptions& options) {
  JailCgroup group;
  if (!Wanted(options)) return group;
  ANNULUS_ASSIGN_OR_RETURN(std::string path, Hierarchy());
  // Without a name below the root, where a limit is possible, for who may.
  const std::string name =
      options.cgroup.empty()
          ? absl::StrCat(::geteuid() == 0 ? "/" : "", "annulus-", ::getpid())
          : options.cgroup;
  if (absl::StrContains(absl::StrCat("/", name, "/"), "/../")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cgroup: \"", name, "\" leads out of the hierarchy"));
  }
  if (!absl::StartsWith(name, "/")) {
    absl::StrAppend(&path, absl::StripSuffix(OwnGroup(), "/"), "/");
  }
  absl::StrAppend(&path, name);
  if (::mkdir(path.c_str(), kMode) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("--cgroup: making ", path,
                            errno == EACCES || errno == EPERM
                                ? " (without root, systemd can set limits: "
                                  "systemd-run --user --scope -p MemoryMax=1G)"
                                : ""));
  }
  group.path_ = std::move(path);
  ANNULUS_RETURN_IF_ERROR(group.SetLimits(options));
  return group;
}

absl::Status JailCgroup::SetLimits(const JailOptions& options) const {
  if (options.memory_max.has_value()) {
    ANNULUS_RETURN_IF_ERROR(
        SetLimit("memory", "memory.max", absl::StrCat(*options.memory_max)));
  }
  if (options.cpu_percent.has_value()) {
    // So many microseconds in each period of 100 ms.
    constexpr uint64_t kPercent = 1000;
    ANNULUS_RETURN_IF_ERROR(SetLimit(
        "cpu", "cpu.max",
        absl::StrCat(*options.cpu_percent * kPercent, " ", 100 * kPercent)));
  }
  if (options.pids_max.has_value()) {
    ANNULUS_RETURN_IF_ERROR(
        SetLimit("pids", "pids.max", absl::StrCat(*options.pids_max)));
  }
  return absl::OkStatus();
}

absl::Status JailCgroup::SetLimit(absl::string_view controller,
                                  absl::string_view file,
                                  const std::string& value) const {
  const std::string path = absl::StrCat(path_, "/", file);
  if (::access(path.c_str(), F_OK) != 0) {
    // The parent has not handed the controller down. It may be ours to do.
    const std::string parent = path_.substr(0, path_.rfind('/'));
    const absl::Status enabled =
        WriteKernelFile(absl::StrCat(parent, "/cgroup.subtree_control"),
                        absl::StrCat("+", controller));
    if (!enabled.ok()) {
      return absl::Status(
          enabled.code(),
          absl::StrCat("--", controller, "-max: ", enabled.message(),
                       " (the controller has to be in cgroup.controllers "
                       "there, and no process in that group itself, as there "
                       "is none in the root: --cgroup /NAME)"));
    }
  }
  absl::Status written = WriteKernelFile(path, value);
  if (written.ok()) return written;
  return absl::Status(
      written.code(),
      absl::StrCat("--", controller, "-max: ", written.message()));
}

absl::Status JailCgroup::Add(pid_t pid) const {
  if (path_.empty()) return absl::OkStatus();
  return WriteKernelFile(absl::StrCat(path_, "/cgroup.procs"),
                         absl::StrCat(pid));
}

JailCgroup::JailCgroup(JailCgroup&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

JailCgroup& JailCgroup::operator=(JailCgroup&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

void JailCgroup::Remove() {
  if (!path_.empty()) ::rmdir(path_.c_str());
}

}  // namespace annulus::cli
