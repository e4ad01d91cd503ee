#include "vmm/sandbox/compiled_filters.h"

namespace annulus {
namespace {

#include "vmm/sandbox/compiled_filters.inc"

static_assert(kSandboxRoles == 7);

}  // namespace

absl::Span<const sock_filter> CompiledFilter(SandboxRole role) {
  switch (role) {
    case SandboxRole::kVcpu:
      return kProgram0;
    case SandboxRole::kQueue:
      return kProgram1;
    case SandboxRole::kSocketQueue:
      return kProgram2;
    case SandboxRole::kVhostUser:
      return kProgram3;
    case SandboxRole::kControl:
      return kProgram4;
    case SandboxRole::kConsole:
      return kProgram5;
    case SandboxRole::kMain:
      return kProgram6;
  }
  return {};
}

}  // namespace annulus
