#include "vmm/doctor/doctor.h"

#include <algorithm>

#include "vmm/doctor/host_facts.h"
#include "vmm/doctor/judgement.h"

namespace annulus {

std::vector<Finding> ExamineHost() { return JudgeHost(GatherHostFacts()); }

bool CanRunVm(const std::vector<Finding>& findings) {
  return std::none_of(
      findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.required && finding.level == FindingLevel::kMissing;
      });
}

}  // namespace annulus
