#include "vmm/sandbox/syscall_names.h"

namespace annulus {

const char* SyscallName(int number) {
  switch (number) {
#include "vmm/sandbox/syscall_names.inc"
    default:
      return "?";
  }
}

}  // namespace annulus
