#ifndef VMM_DOCTOR_FINDING_H_
#define VMM_DOCTOR_FINDING_H_

#include <cstdint>
#include <string>

namespace annulus {

enum class FindingLevel : uint8_t {
  kOk,       // Nothing to do.
  kWarning,  // VMs run, but slower or with less than they could.
  kMissing,  // Not there.
};

// One line about one thing.
struct Finding {
  FindingLevel level = FindingLevel::kOk;
  bool required = false;  // At kMissing: no VM can run.
  std::string subject;    // "/dev/kvm"
  std::string text;       // What was found.
  std::string advice;     // What to do about it. Empty at kOk.
};

}  // namespace annulus

#endif  // VMM_DOCTOR_FINDING_H_
