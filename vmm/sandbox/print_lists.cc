// Prints the lists of the sandbox, a line "ROLE<tab>CALL<tab>WHY" for each
// rule, and "<tab>seldom" behind those that no run is expected to meet; ROLE is
// "all" for what all of them have: tools/sandbox_report compares them with what
// runs used.

#include <cstdio>
#include <vector>

#include "vmm/sandbox/sandbox_role.h"
#include "vmm/sandbox/syscall_lists.h"

namespace {

void Print(const char* role,
           const std::vector<const annulus::SyscallRule*>& rules) {
  for (const annulus::SyscallRule* rule : rules) {
    std::printf("%s\t%s\t%s%s\n", role, rule->name, rule->why,
                rule->seldom ? "\tseldom" : "");
  }
}

}  // namespace

int main() {
  using annulus::SandboxRole;
  Print("all", annulus::CommonSyscalls());
  for (int i = 0; i < annulus::kSandboxRoles; ++i) {
    const auto role = static_cast<SandboxRole>(i);
    Print(annulus::NameOf(role).data(), annulus::OwnSyscallsOf(role));
  }
  return 0;
}
