#ifndef VMM_SANDBOX_LANDLOCK_H_
#define VMM_SANDBOX_LANDLOCK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace annulus {

// What of the file system is still needed by path.
struct LandlockOptions {
  // From their files may be removed: sockets that were made there. Those that
  // are not there are left out.
  std::vector<std::string> remove_from;
  // There, sockets and files are made, opened and removed: directories by which
  // socket devices of several processes find each other.
  std::vector<std::string> make_in;
  // Sockets under abstract names are connected to later.
  bool abstract_sockets = false;
};

// Of the kernel: 0 without Landlock, or with it switched off.
int LandlockVersion();

// Restricts the calling thread, and those that it starts, for good: no file is
// opened, made, run, listed or removed but by `options`; no TCP socket is bound
// or connected; no signals to, and no abstract sockets of, processes outside.
// What is open stays so. Of that, whatever the kernel's version has: 5.13 has
// the files, 6.7 TCP, 6.12 the rest. Returns that version; 0: nothing is
// restricted.
//
// Not restricted by any: to connect to a unix socket by path.
//
// Threads: the calling one alone, so before others are started. REQUIRES:
// no_new_privs is set.
absl::StatusOr<int> RestrictByLandlock(const LandlockOptions& options);

}  // namespace annulus

#endif  // VMM_SANDBOX_LANDLOCK_H_
