#ifndef VMM_SANDBOX_SANDBOX_MODE_H_
#define VMM_SANDBOX_SANDBOX_MODE_H_

#include <cstdint>

namespace annulus {

// How seriously the sandbox is taken. docs/sandbox.md tells more.
enum class SandboxMode : uint8_t {
  kOff,    // Nothing is restricted.
  kLog,    // What kOn would punish is reported, once each, and let through.
  kTrace,  // Likewise, and what is allowed is reported when first used.
  kOn,     // A system call that is in no list ends the process.
};

}  // namespace annulus

#endif  // VMM_SANDBOX_SANDBOX_MODE_H_
