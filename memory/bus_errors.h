#ifndef MEMORY_BUS_ERRORS_H_
#define MEMORY_BUS_ERRORS_H_

#include "absl/status/status.h"

namespace annulus::memory {

// Installs a handler of SIGBUS for the process, which does what
// guarded_mapping.h says for a mapping of that class, and for all others what
// was to be done before. For programs: a library changes no handlers unless
// its user asks for it. Once is enough, a second call does nothing. Fails with
// the errno of sigaction(2).
//
// Threads: any.
absl::Status HandleBusErrors();

}  // namespace annulus::memory

#endif  // MEMORY_BUS_ERRORS_H_
