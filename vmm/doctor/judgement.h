#ifndef VMM_DOCTOR_JUDGEMENT_H_
#define VMM_DOCTOR_JUDGEMENT_H_

#include <vector>

#include "vmm/doctor/finding.h"
#include "vmm/doctor/host_facts.h"

namespace annulus {

// Turns facts into lines for people, in the order: KVM, devices, memory,
// limits. A pure function.
std::vector<Finding> JudgeHost(const HostFacts& facts);

}  // namespace annulus

#endif  // VMM_DOCTOR_JUDGEMENT_H_
