#include "vmm/cpu/vcpu_setup.h"

#include "base/status_macros.h"

namespace annulus {
namespace {

// Intel SDM vol. 4 "Model-Specific Registers"; AMD has the first one too.
constexpr uint32_t kMsrMtrrDefType = 0x2ff;
constexpr uint32_t kMsrMiscEnable = 0x1a0;

// MTRRs on, and all memory write-back that no MTRR says otherwise of.
constexpr uint64_t kMtrrEnabledWriteBack = 1 << 11 | 6;
constexpr uint64_t kMiscEnableFastStrings = 1;

}  // namespace

absl::Status SetUpVcpu(const kvm::KvmVcpu& vcpu,
                       absl::Span<const kvm::CpuidEntry> supported,
                       const GuestCpuidOptions& options) {
  ANNULUS_RETURN_IF_ERROR(vcpu.SetCpuid(GuestCpuid(supported, options)));
  ANNULUS_RETURN_IF_ERROR(vcpu.SetMsrs(
      {{.index = kMsrMtrrDefType, .value = kMtrrEnabledWriteBack},
       {.index = kMsrMiscEnable, .value = kMiscEnableFastStrings}}));
  ANNULUS_RETURN_IF_ERROR(vcpu.ResetFpu());
  return vcpu.WireLocalApic();
}

}  // namespace annulus
