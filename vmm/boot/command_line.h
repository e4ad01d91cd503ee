#ifndef VMM_BOOT_COMMAND_LINE_H_
#define VMM_BOOT_COMMAND_LINE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "memory/guest_memory.h"

namespace annulus::boot {

// Writes `cmdline` and a terminating zero to kCommandLine. `max_size` is how
// many bytes the kernel reads of it, without the zero.
//
// Trust: both are untrusted. A line that the kernel would cut short is refused,
//   as is one with a zero in it: half a command line is worse than none.
absl::Status WriteCommandLine(absl::string_view cmdline, uint64_t max_size,
                              const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_COMMAND_LINE_H_
