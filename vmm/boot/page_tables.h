#ifndef VMM_BOOT_PAGE_TABLES_H_
#define VMM_BOOT_PAGE_TABLES_H_

#include "absl/status/status.h"
#include "memory/guest_memory.h"

namespace annulus::boot {

// Writes four-level page tables to kPageTables that map the first 4 GiB
// one-to-one, writable and executable, as boot.rst "64-bit Boot Protocol" asks:
// kernel, zero page and command line lie there. In 2 MiB pages, because 1 GiB
// pages are a feature that a guest's CPU may lack.
absl::Status WriteIdentityPageTables(const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_PAGE_TABLES_H_
