#ifndef VMM_SANDBOX_LANDLOCK_NEEDS_H_
#define VMM_SANDBOX_LANDLOCK_NEEDS_H_

#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"
#include "vmm/sandbox/landlock.h"

namespace annulus {

// What of the file system is needed by path once everything that a
// configuration names is open: directories of the sockets that were made, which
// are removed at the end, and whether abstract names are connected to.
LandlockOptions LandlockNeeds(const VmConfig& config);
LandlockOptions LandlockNeeds(const DevicesConfig& config);

}  // namespace annulus

#endif  // VMM_SANDBOX_LANDLOCK_NEEDS_H_
