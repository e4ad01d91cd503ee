#include "vmm/sandbox/compiled_filters.h"

#include <cstddef>

namespace annulus {
namespace {

#include "vmm/sandbox/compiled_filters.inc"

}  // namespace

absl::Span<const sock_filter> CompiledFilter(SandboxRole role) {
  return kPrograms[static_cast<size_t>(role)];
}

}  // namespace annulus
