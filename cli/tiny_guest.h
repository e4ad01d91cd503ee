#ifndef CLI_TINY_GUEST_H_
#define CLI_TINY_GUEST_H_

#include <string>

namespace annulus::cli {

// An ELF64 file with a PVH note whose guest prints "R" on the serial port, then
// echoes each byte that it receives there. On a "q" it writes that to the debug
// exit port; on a "t" it makes a triple fault. 64 KiB of RAM above 1 MiB and
// any KVM are enough.
std::string TinyGuest();

}  // namespace annulus::cli

#endif  // CLI_TINY_GUEST_H_
