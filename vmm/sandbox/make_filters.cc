// Writes the filters of all roles as C++, when Annulus is built: for
// compiled_filters.cc, which includes it.

#include <cstdio>

#include "absl/status/statusor.h"
#include "vmm/sandbox/filter_compiler.h"
#include "vmm/sandbox/sandbox_role.h"
#include "vmm/sandbox/syscall_lists.h"

int main() {
  using annulus::SandboxRole;
  for (int role = 0; role < annulus::kSandboxRoles; ++role) {
    const auto program = annulus::CompileFilter(
        annulus::SyscallsOf(static_cast<SandboxRole>(role)));
    if (!program.ok()) {
      std::fprintf(stderr, "%s\n", program.status().ToString().c_str());
      return 1;
    }
    std::printf("constexpr sock_filter kProgram%d[] = {\n", role);
    for (const sock_filter& one : *program) {
      std::printf("{%#x, %u, %u, %#x},\n", one.code, one.jt, one.jf, one.k);
    }
    std::printf("};\n");
  }
  std::printf("constexpr absl::Span<const sock_filter> kPrograms[] = {\n");
  for (int role = 0; role < annulus::kSandboxRoles; ++role) {
    std::printf("kProgram%d,\n", role);
  }
  std::printf("};\n");
  return 0;
}
