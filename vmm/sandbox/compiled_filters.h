#ifndef VMM_SANDBOX_COMPILED_FILTERS_H_
#define VMM_SANDBOX_COMPILED_FILTERS_H_

#include <linux/filter.h>

#include "absl/types/span.h"
#include "vmm/sandbox/sandbox_role.h"

namespace annulus {

// What CompileFilter() made of the list of `role` when Annulus was built.
absl::Span<const sock_filter> CompiledFilter(SandboxRole role);

}  // namespace annulus

#endif  // VMM_SANDBOX_COMPILED_FILTERS_H_
