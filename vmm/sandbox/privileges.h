#ifndef VMM_SANDBOX_PRIVILEGES_H_
#define VMM_SANDBOX_PRIVILEGES_H_

#include "absl/status/status.h"

namespace annulus {

// Gives up, for good, what the calling thread may do beyond its user, and can
// become: no_new_privs, so that no program that it starts gets more; all sets
// of capabilities are empty, also the bounding set where that is in its power.
// Threads that it starts inherit that. Root without capabilities is a user who
// owns root's files.
//
// Core dumps stay possible: they show what went wrong, and guest RAM is
// excluded from them.
//
// Threads: the calling one alone, so before others are started.
absl::Status DropPrivileges();

// The part of it for which CAP_SETPCAP is needed: PermissionDenied without.
// Under no_new_privs the set gives nothing anyway.
absl::Status EmptyBoundingSet();

}  // namespace annulus

#endif  // VMM_SANDBOX_PRIVILEGES_H_
