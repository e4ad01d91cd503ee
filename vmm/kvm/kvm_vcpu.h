#ifndef VMM_KVM_KVM_VCPU_H_
#define VMM_KVM_KVM_VCPU_H_

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "memory/guest_address.h"
#include "vmm/boot/boot_state.h"
#include "vmm/kvm/cpuid_entry.h"
#include "vmm/kvm/vcpu_exit.h"

struct kvm_run;

namespace annulus::kvm {

// One model-specific register.
struct Msr {
  uint32_t index = 0;
  uint64_t value = 0;
};

// One virtual CPU of KVM and the page that it shares with this process.
//
// Threads: the thread that calls Run() owns the object; RequestExit() may be
//   called from any other.
// Errors: the ioctl's errno with what was tried.
class KvmVcpu {
 public:
  // `fd` from KvmVm::CreateVcpu(), `mmap_size` from KvmSystem.
  static absl::StatusOr<KvmVcpu> Create(UniqueFd fd, size_t mmap_size);

  KvmVcpu(KvmVcpu&& other) noexcept;
  KvmVcpu& operator=(KvmVcpu&&) = delete;
  ~KvmVcpu();

  // State before the first Run().
  absl::Status SetCpuid(absl::Span<const CpuidEntry> entries) const;
  absl::Status SetRegisters(const boot::BootState& state) const;
  absl::Status SetMsrs(absl::Span<const Msr> msrs) const;
  // x87 and SSE control words as after FNINIT and reset.
  absl::Status ResetFpu() const;
  // LINT0 takes the 8259's interrupts, LINT1 the NMI, as firmware sets it up.
  absl::Status WireLocalApic() const;

  // Signals outside `mask` interrupt Run(), even those that the thread blocks.
  absl::Status SetSignalMask(const sigset_t& mask) const;

  // KVM_RUN. Never fails as such: an error is a kind of exit.
  VcpuExit Run();

  // Makes the next or current Run() return at once, until ClearExitRequest().
  // Does not by itself interrupt a Run() that has entered the guest: send the
  // thread a signal too.
  void RequestExit();
  void ClearExitRequest();

  // Tells a guest with a KVM clock that it did not run for a while, so that it
  // does not take its own pause for a lockup. To be called before Run().
  void NotifyPaused() const;

  // For messages: the instruction pointer, or 0 where KVM does not tell.
  uint64_t InstructionPointer() const;

  // Where the guest's page tables lead a linear address; nullopt: nowhere.
  std::optional<memory::GuestAddress> Translate(uint64_t linear) const;

 private:
  KvmVcpu(UniqueFd fd, kvm_run* run, size_t mmap_size);

  UniqueFd fd_;
  kvm_run* run_;  // Owned mapping of mmap_size_ bytes; null after a move.
  size_t mmap_size_;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_KVM_VCPU_H_
