#include "vmm/kvm/kvm_vcpu.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "vmm/kvm/flexible.h"
#include "vmm/kvm/kvm_abi.h"

namespace annulus::kvm {
namespace {

// The kernel's sigset_t is 64 bits, glibc's is larger.
using KernelSigset = std::array<uint8_t, 8>;

// Local vector table, Intel SDM vol. 3 "Local Vector Table".
constexpr size_t kApicLvtLint0 = 0x350;
constexpr size_t kApicLvtLint1 = 0x360;
constexpr uint32_t kApicModeMask = 0x10700;  // With the mask bit.
constexpr uint32_t kApicModeNmi = 0x400;
constexpr uint32_t kApicModeExtInt = 0x700;

absl::Status IoctlError(absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrFormat("KVM: vCPU: %s", what));
}

kvm_segment ToKernel(const boot::SegmentState& segment) {
  kvm_segment out = {};
  out.base = segment.base;
  out.limit = segment.limit;
  out.selector = segment.selector;
  out.type = segment.type;
  out.present = segment.present ? 1 : 0;
  out.s = segment.code_or_data ? 1 : 0;
  out.l = segment.long_mode ? 1 : 0;
  out.db = segment.default_size ? 1 : 0;
  out.g = segment.granularity ? 1 : 0;
  return out;
}

kvm_dtable ToKernel(const boot::DescriptorTableState& table) {
  kvm_dtable out = {};
  out.base = table.base;
  out.limit = table.limit;
  return out;
}

void FillInternalError(const kvm_run& run, VcpuExit& exit) {
  exit.code = run.internal.suberror;
  if (run.internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
    exit.kind = VcpuExit::Kind::kInternalError;
    return;
  }
  exit.kind = VcpuExit::Kind::kEmulationFailure;
  const auto& failure = run.emulation_failure;
  const bool has_bytes =
      failure.ndata >= 3 &&
      (failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) !=
          0;
  if (!has_bytes) return;
  exit.instruction_size = failure.insn_size < exit.instruction.size()
                              ? failure.insn_size
                              : exit.instruction.size();
  std::memcpy(exit.instruction.data(), failure.insn_bytes,
              exit.instruction_size);
}

}  // namespace

absl::StatusOr<KvmVcpu> KvmVcpu::Create(UniqueFd fd, size_t mmap_size) {
  void* run = ::mmap(nullptr, mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     fd.get(), 0);
  if (run == MAP_FAILED) return IoctlError("mapping the shared page");
  return KvmVcpu(std::move(fd), static_cast<kvm_run*>(run), mmap_size);
}

KvmVcpu::KvmVcpu(UniqueFd fd, kvm_run* run, size_t mmap_size)
    : fd_(std::move(fd)), run_(run), mmap_size_(mmap_size) {}

KvmVcpu::KvmVcpu(KvmVcpu&& other) noexcept
    : fd_(std::move(other.fd_)),
      run_(std::exchange(other.run_, nullptr)),
      mmap_size_(other.mmap_size_) {}

KvmVcpu::~KvmVcpu() {
  if (run_ != nullptr) ::munmap(run_, mmap_size_);
}

absl::Status KvmVcpu::SetCpuid(absl::Span<const CpuidEntry> entries) const {
  Flexible<kvm_cpuid2, kvm_cpuid_entry2> cpuid(entries.size());
  cpuid->nent = static_cast<uint32_t>(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const CpuidEntry& entry = entries[i];
    kvm_cpuid_entry2& out = cpuid->entries[i];
    out.function = entry.function;
    out.index = entry.index;
    out.flags = entry.index_significant ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
    out.eax = entry.eax;
    out.ebx = entry.ebx;
    out.ecx = entry.ecx;
    out.edx = entry.edx;
  }
  if (::ioctl(fd_.get(), KVM_SET_CPUID2, cpuid.get()) != 0) {
    return IoctlError("setting CPUID");
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::SetRegisters(const boot::BootState& state) const {
  kvm_sregs special;
  if (::ioctl(fd_.get(), KVM_GET_SREGS, &special) != 0) {
    return IoctlError("reading special registers");
  }
  special.cs = ToKernel(state.cs);
  special.ds = special.es = special.fs = special.gs = special.ss =
      ToKernel(state.data);
  special.tr = ToKernel(state.tr);
  special.gdt = ToKernel(state.gdt);
  special.idt = ToKernel(state.idt);
  special.cr0 = state.cr0;
  special.cr3 = state.cr3;
  special.cr4 = state.cr4;
  special.efer = state.efer;
  if (::ioctl(fd_.get(), KVM_SET_SREGS, &special) != 0) {
    return IoctlError("setting special registers");
  }
  kvm_regs general = {};
  general.rip = state.rip;
  general.rsp = state.rsp;
  general.rbx = state.rbx;
  general.rsi = state.rsi;
  general.rflags = state.rflags;
  if (::ioctl(fd_.get(), KVM_SET_REGS, &general) != 0) {
    return IoctlError("setting general registers");
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::SetMsrs(absl::Span<const Msr> msrs) const {
  Flexible<kvm_msrs, kvm_msr_entry> table(msrs.size());
  table->nmsrs = static_cast<uint32_t>(msrs.size());
  for (size_t i = 0; i < msrs.size(); ++i) {
    table->entries[i].index = msrs[i].index;
    table->entries[i].data = msrs[i].value;
  }
  const int set = ::ioctl(fd_.get(), KVM_SET_MSRS, table.get());
  if (set < 0) return IoctlError("setting MSRs");
  if (static_cast<size_t>(set) != msrs.size()) {
    return absl::InternalError(
        absl::StrFormat("KVM: vCPU: MSR %#x was refused",
                        msrs[static_cast<size_t>(set)].index));
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::ResetFpu() const {
  kvm_fpu fpu = {};
  fpu.fcw = 0x37f;     // FNINIT: all exceptions masked, 64-bit precision.
  fpu.mxcsr = 0x1f80;  // Reset value: all exceptions masked.
  if (::ioctl(fd_.get(), KVM_SET_FPU, &fpu) != 0) {
    return IoctlError("setting the FPU");
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::WireLocalApic() const {
  kvm_lapic_state apic;
  if (::ioctl(fd_.get(), KVM_GET_LAPIC, &apic) != 0) {
    return IoctlError("reading the local APIC");
  }
  const auto set_mode = [&apic](size_t offset, uint32_t mode) {
    uint32_t value;
    std::memcpy(&value, apic.regs + offset, sizeof(value));
    value = (value & ~kApicModeMask) | mode;
    std::memcpy(apic.regs + offset, &value, sizeof(value));
  };
  set_mode(kApicLvtLint0, kApicModeExtInt);
  set_mode(kApicLvtLint1, kApicModeNmi);
  if (::ioctl(fd_.get(), KVM_SET_LAPIC, &apic) != 0) {
    return IoctlError("wiring the local APIC");
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::SetSignalMask(const sigset_t& mask) const {
  Flexible<kvm_signal_mask, KernelSigset> kernel_mask(1);
  kernel_mask->len = sizeof(KernelSigset);
  std::memcpy(kernel_mask->sigset, &mask, sizeof(KernelSigset));
  if (::ioctl(fd_.get(), KVM_SET_SIGNAL_MASK, kernel_mask.get()) != 0) {
    return IoctlError("setting the signal mask");
  }
  return absl::OkStatus();
}

VcpuExit KvmVcpu::Run() {
  VcpuExit exit;
  if (::ioctl(fd_.get(), KVM_RUN, 0) != 0) {
    if (errno == EINTR || errno == EAGAIN) {
      exit.kind = VcpuExit::Kind::kInterrupted;
    } else {
      exit.kind = VcpuExit::Kind::kHostError;
      exit.code = static_cast<uint64_t>(errno);
    }
    return exit;
  }
  switch (run_->exit_reason) {
    case KVM_EXIT_IO:
      exit.kind = VcpuExit::Kind::kPortIo;
      exit.is_write = run_->io.direction == KVM_EXIT_IO_OUT;
      exit.address = run_->io.port;
      exit.width = run_->io.size;
      exit.count = run_->io.count;
      exit.data = absl::MakeSpan(
          reinterpret_cast<uint8_t*>(run_) + run_->io.data_offset,
          size_t{run_->io.size} * run_->io.count);
      break;
    case KVM_EXIT_MMIO:
      exit.kind = VcpuExit::Kind::kMmio;
      exit.is_write = run_->mmio.is_write != 0;
      exit.address = run_->mmio.phys_addr;
      exit.data = absl::MakeSpan(run_->mmio.data, run_->mmio.len);
      break;
    case KVM_EXIT_INTR:
      exit.kind = VcpuExit::Kind::kInterrupted;
      break;
    case KVM_EXIT_SHUTDOWN:
      exit.kind = VcpuExit::Kind::kTripleFault;
      break;
    case KVM_EXIT_INTERNAL_ERROR:
      FillInternalError(*run_, exit);
      break;
    case KVM_EXIT_FAIL_ENTRY:
      exit.kind = VcpuExit::Kind::kEntryFailure;
      exit.code = run_->fail_entry.hardware_entry_failure_reason;
      break;
    default:
      exit.kind = VcpuExit::Kind::kOther;
      exit.code = run_->exit_reason;
      break;
  }
  return exit;
}

void KvmVcpu::RequestExit() {
  // Relaxed: only the kernel reads it, on the vCPU's thread, after the signal
  // that the caller sends next.
  __atomic_store_n(&run_->immediate_exit, 1, __ATOMIC_RELAXED);
}

void KvmVcpu::ClearExitRequest() {
  __atomic_store_n(&run_->immediate_exit, 0, __ATOMIC_RELAXED);
}

void KvmVcpu::NotifyPaused() const {
  // Fails where the guest has not set its clock up: then it does not matter.
  (void)::ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0);
}

uint64_t KvmVcpu::InstructionPointer() const {
  kvm_regs regs;
  if (::ioctl(fd_.get(), KVM_GET_REGS, &regs) != 0) return 0;
  return regs.rip;
}

std::optional<memory::GuestAddress> KvmVcpu::Translate(uint64_t linear) const {
  kvm_translation translation = {};
  translation.linear_address = linear;
  if (::ioctl(fd_.get(), KVM_TRANSLATE, &translation) != 0 ||
      translation.valid == 0) {
    return std::nullopt;
  }
  return memory::GuestAddress(translation.physical_address);
}

}  // namespace annulus::kvm
