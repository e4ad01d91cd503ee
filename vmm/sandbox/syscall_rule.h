#ifndef VMM_SANDBOX_SYSCALL_RULE_H_
#define VMM_SANDBOX_SYSCALL_RULE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace annulus {

// In a filter's program, until it is used: the number of this process. No
// process has it, nor does any list mean it.
inline constexpr uint32_t kOwnProcess = 0x7fffabcd;

// What an argument of a system call has to be.
struct ArgumentCheck {
  uint8_t index = 0;  // Of the six.
  uint64_t mask = 0;  // 0: no check. The bits that matter.
  uint64_t value = 0;
  // The value is the number of this process, which is known at run time.
  bool own_process = false;
};

// One system call that a list has, with what its arguments have to be; several
// rules about one system call add up.
struct SyscallRule {
  int number = -1;
  const char* name = "";  // "ioctl(KVM_RUN)".
  const char* why = "";
  std::array<ArgumentCheck, 2> checks = {};
  // Not 0: the call fails with it, without harm to whoever tried. 0: allowed.
  int refusal = 0;
  // Of faults, attacks and shortages: no ordinary run comes to it.
  bool seldom = false;
};

// True where the call is one that `rule` speaks of. `own_process` is the number
// of the process.
constexpr bool Matches(const SyscallRule& rule, int number,
                       const std::array<uint64_t, 6>& arguments,
                       uint64_t own_process) {
  if (rule.number != number) return false;
  for (const ArgumentCheck& check : rule.checks) {
    const uint64_t value = check.own_process ? own_process : check.value;
    if ((arguments[check.index] & check.mask) != (value & check.mask)) {
      return false;
    }
  }
  return true;
}

}  // namespace annulus

#endif  // VMM_SANDBOX_SYSCALL_RULE_H_
