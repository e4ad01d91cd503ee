#ifndef VMM_DOCTOR_DOCTOR_H_
#define VMM_DOCTOR_DOCTOR_H_

#include <vector>

#include "vmm/doctor/finding.h"  // IWYU pragma: export

// What this host can do for virtual machines, for people: behind
// `annulus doctor`, and for embedders that want to explain themselves.

namespace annulus {

// Looks at the host. Opens devices and files of procfs and sysfs, creates and
// drops an empty VM, changes nothing.
//
// Threads: any.
std::vector<Finding> ExamineHost();

// False if something required is missing.
bool CanRunVm(const std::vector<Finding>& findings);

}  // namespace annulus

#endif  // VMM_DOCTOR_DOCTOR_H_
