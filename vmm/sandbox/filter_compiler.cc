#include "vmm/sandbox/filter_compiler.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace annulus {
namespace {

struct ReleaseContext {
  void operator()(scmp_filter_ctx context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;

absl::Status Failed(int error, absl::string_view what) {
  return absl::ErrnoToStatus(-error, absl::StrCat("seccomp: ", what));
}

absl::Status AddRule(scmp_filter_ctx context, const SyscallRule& rule) {
  std::array<scmp_arg_cmp, 2> checks = {};
  unsigned int count = 0;
  for (const ArgumentCheck& check : rule.checks) {
    if (check.mask == 0) continue;
    const uint64_t value = check.own_process ? kOwnProcess : check.value;
    checks[count++] = {.arg = check.index,
                       .op = SCMP_CMP_MASKED_EQ,
                       .datum_a = check.mask,
                       .datum_b = value & check.mask};
  }
  const uint32_t action =
      rule.refusal == 0 ? SCMP_ACT_ALLOW
                        : SCMP_ACT_ERRNO(static_cast<uint32_t>(rule.refusal));
  const int error = seccomp_rule_add_array(context, action, rule.number, count,
                                           checks.data());
  if (error == 0) return absl::OkStatus();
  return Failed(error, absl::StrCat("adding ", rule.name, " to a filter"));
}

// By way of a file, which is what this version of libseccomp writes to.
absl::StatusOr<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.valid()) return absl::ErrnoToStatus(errno, "creating a memfd");
  if (const int error = seccomp_export_bpf(context, file.get()); error != 0) {
    return Failed(error, "making a filter's program");
  }
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<size_t>(size) /
                                   sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<size_t>(size), 0) !=
      size) {
    return absl::ErrnoToStatus(errno, "reading a filter's program");
  }
  return program;
}

}  // namespace

absl::StatusOr<std::vector<sock_filter>> CompileFilter(
    absl::Span<const SyscallRule* const> rules) {
  const Context context(seccomp_init(SCMP_ACT_TRAP));
  if (context == nullptr) {
    return absl::UnimplementedError("libseccomp has no filters here");
  }
  int error = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH,
                               SCMP_ACT_KILL_PROCESS);
  if (error != 0) return Failed(error, "denying other architectures");
  // A binary search for the number, not one comparison after the other.
  error = seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error != 0) return Failed(error, "asking for a binary search");
  for (const SyscallRule* rule : rules) {
    ANNULUS_RETURN_IF_ERROR(AddRule(context.get(), *rule));
  }
  return Export(context.get());
}

}  // namespace annulus
