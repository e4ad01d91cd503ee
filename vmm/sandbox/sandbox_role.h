#ifndef VMM_SANDBOX_SANDBOX_ROLE_H_
#define VMM_SANDBOX_SANDBOX_ROLE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/thread_setup.h"

namespace annulus {

// Whose list of system calls it is: the library's kinds of threads, and those
// threads that a program around it has.
enum class SandboxRole : uint8_t {
  kVcpu,
  kQueue,
  kSocketQueue,
  kVhostUser,
  kControl,
  kConsole,  // Of `annulus run`: moves what is typed, and hears signals.
  kMain,     // Starts, waits, may stop, and takes everything down.
};
inline constexpr int kSandboxRoles = 7;

constexpr SandboxRole RoleOf(ThreadKind kind) {
  switch (kind) {
    case ThreadKind::kVcpu:
      return SandboxRole::kVcpu;
    case ThreadKind::kQueue:
      return SandboxRole::kQueue;
    case ThreadKind::kSocketQueue:
      return SandboxRole::kSocketQueue;
    case ThreadKind::kVhostUser:
      return SandboxRole::kVhostUser;
    case ThreadKind::kControl:
      return SandboxRole::kControl;
  }
  return SandboxRole::kControl;
}

// As it is called in reports and in docs/sandbox.md. Ends in a zero byte.
constexpr absl::string_view NameOf(SandboxRole role) {
  switch (role) {
    case SandboxRole::kVcpu:
      return "vcpu";
    case SandboxRole::kQueue:
      return "queue";
    case SandboxRole::kSocketQueue:
      return "socket queue";
    case SandboxRole::kVhostUser:
      return "vhost-user";
    case SandboxRole::kControl:
      return "control";
    case SandboxRole::kConsole:
      return "console";
    case SandboxRole::kMain:
      return "main";
  }
  return "?";
}

}  // namespace annulus

#endif  // VMM_SANDBOX_SANDBOX_ROLE_H_
