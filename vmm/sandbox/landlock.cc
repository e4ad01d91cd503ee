#include "vmm/sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace annulus {
namespace {

// struct landlock_ruleset_attr of newer kernels than these headers may be of.
struct RulesetAttributes {
  uint64_t handled_files = 0;
  uint64_t handled_net = 0;  // From version 4.
  uint64_t scoped = 0;       // From version 6.
};

constexpr uint64_t kRemove = LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr uint64_t kMake =
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;

// The rights that a version knows are bits in a row.
constexpr uint64_t FilesOf(int version) {
  const int rights = version >= 5   ? 16   // 5: ioctl of devices.
                     : version >= 3 ? 15   // 3: truncate.
                     : version == 2 ? 14   // 2: link and rename elsewhere.
                                    : 13;  // 1.
  return (uint64_t{1} << rights) - 1;
}

constexpr uint64_t kBindAndConnectTcp = 3;
constexpr uint64_t kScopeAbstractSockets = 1;
constexpr uint64_t kScopeSignals = 2;

RulesetAttributes AttributesOf(int version, const LandlockOptions& options) {
  RulesetAttributes attributes;
  attributes.handled_files = FilesOf(version);
  if (version >= 4) attributes.handled_net = kBindAndConnectTcp;
  if (version >= 6) {
    attributes.scoped =
        kScopeSignals | (options.abstract_sockets ? 0 : kScopeAbstractSockets);
  }
  return attributes;
}

constexpr size_t SizeOf(int version) {
  if (version >= 6) return sizeof(RulesetAttributes);
  if (version >= 4) return offsetof(RulesetAttributes, scoped);
  return offsetof(RulesetAttributes, handled_net);
}

absl::Status Allow(int ruleset, const std::string& directory, uint64_t rights) {
  const UniqueFd fd(
      ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  // It cannot be made any more.
  if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) {
    return absl::OkStatus();
  }
  if (!fd.valid()) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("Landlock: opening directory ", directory));
  }
  const landlock_path_beneath_attr rule = {.allowed_access = rights,
                                           .parent_fd = fd.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
                &rule, 0) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("Landlock: a rule for directory ", directory));
  }
  return absl::OkStatus();
}

}  // namespace

int LandlockVersion() {
  const int64_t version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                                    LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

absl::StatusOr<int> RestrictByLandlock(const LandlockOptions& options) {
  const int version = LandlockVersion();
  if (version == 0) return 0;
  const RulesetAttributes attributes = AttributesOf(version, options);
  const UniqueFd ruleset(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &attributes, SizeOf(version), 0)));
  if (!ruleset.valid()) {
    return absl::ErrnoToStatus(errno, "Landlock: creating a ruleset");
  }
  for (const std::string& directory : options.remove_from) {
    ANNULUS_RETURN_IF_ERROR(Allow(ruleset.get(), directory, kRemove));
  }
  for (const std::string& directory : options.make_in) {
    ANNULUS_RETURN_IF_ERROR(Allow(ruleset.get(), directory, kMake | kRemove));
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return absl::ErrnoToStatus(errno, "Landlock: restricting this process");
  }
  return version;
}

}  // namespace annulus
