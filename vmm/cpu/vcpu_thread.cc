#include "vmm/cpu/vcpu_thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/check.h"

namespace annulus {
namespace {

using kvm::VcpuExit;

// Blocked in vCPU threads and never handled there. Not a real-time signal: to
// send one of those can fail (RLIMIT_SIGPENDING), and a vCPU would run on.
constexpr int kInterruptSignal = SIGURG;

// All but the one that interrupts.
sigset_t MaskInsideGuest() {
  sigset_t mask = Thread::BlockedSignals();
  sigdelset(&mask, kInterruptSignal);
  return mask;
}

void TakeBackPendingSignal() {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, kInterruptSignal);
  const timespec at_once = {};
  while (sigtimedwait(&only, nullptr, &at_once) > 0) {
  }
}

absl::Status PinTo(pthread_t thread, uint32_t host_cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (host_cpu < CPU_SETSIZE) CPU_SET(host_cpu, &set);
  const int error = pthread_setaffinity_np(thread, sizeof(set), &set);
  if (error != 0) {
    return absl::ErrnoToStatus(
        error, absl::StrFormat("pinning a vCPU to host CPU %u", host_cpu));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<VcpuThread>> VcpuThread::Create(
    const VcpuThreadOptions& options, kvm::KvmVcpu vcpu, VcpuGate& gate,
    AddressBus& mmio, AddressBus& ports, const memory::GuestMemory& memory,
    VcpuObserver& observer) {
  if (absl::Status status = vcpu.SetSignalMask(MaskInsideGuest());
      !status.ok()) {
    return status;
  }
  std::unique_ptr<VcpuThread> self(new VcpuThread(
      options, std::move(vcpu), gate, mmio, ports, memory, observer));
  absl::StatusOr<Thread> thread = Thread::Start(
      options.name, [self = self.get()] { self->Run(); }, ThreadKind::kVcpu);
  if (!thread.ok()) return thread.status();
  self->thread_ = *std::move(thread);
  if (options.host_cpu.has_value()) {
    if (absl::Status status = PinTo(self->thread_.handle(), *options.host_cpu);
        !status.ok()) {
      gate.End([] {});  // The thread waits there, and is to be joined.
      return status;
    }
  }
  return self;
}

VcpuThread::VcpuThread(const VcpuThreadOptions& options, kvm::KvmVcpu vcpu,
                       VcpuGate& gate, AddressBus& mmio, AddressBus& ports,
                       const memory::GuestMemory& memory,
                       VcpuObserver& observer)
    : id_(options.id),
      vcpu_(std::move(vcpu)),
      gate_(gate),
      mmio_(mmio),
      ports_(ports),
      memory_(memory),
      observer_(observer) {}

VcpuThread::~VcpuThread() = default;

void VcpuThread::Interrupt() {
  vcpu_.RequestExit();
  if (thread_.joinable()) {
    ANNULUS_CHECK(pthread_kill(thread_.handle(), kInterruptSignal) == 0);
  }
}

void VcpuThread::Run() {
  const auto forget = [this] {
    vcpu_.ClearExitRequest();
    TakeBackPendingSignal();
  };
  bool first = id_ == 0;
  while (gate_.Pass(forget)) {
    if (first) {
      observer_.FirstEntry();
    } else {
      // It may have waited at the gate, while the guest's clock went on.
      vcpu_.NotifyPaused();
    }
    VcpuExit exit = vcpu_.Run();
    if (first) observer_.FirstExit();
    first = false;
    // Served here without a look at the gate: it is passed again only after
    // an interruption, which RequestExit() turns the next Run() into.
    while (exit.kind == VcpuExit::Kind::kPortIo ||
           exit.kind == VcpuExit::Kind::kMmio) {
      Serve(exit);
      exit = vcpu_.Run();
    }
    if (exit.kind != VcpuExit::Kind::kInterrupted) {
      Fail(exit);
      break;
    }
    counters_.interrupted_exits.Add(1);
  }
  gate_.Leave();
}

void VcpuThread::Serve(const VcpuExit& exit) {
  const bool port_io = exit.kind == VcpuExit::Kind::kPortIo;
  (port_io ? counters_.port_io_exits : counters_.mmio_exits).Add(1);
  if (port_io) {
    ServePortIo(exit);
  } else if (exit.is_write) {
    mmio_.Write(exit.address, exit.data);
  } else {
    mmio_.Read(exit.address, exit.data);
  }
}

void VcpuThread::ServePortIo(const VcpuExit& exit) {
  // `count` is bounded by the shared page, which KVM fills.
  for (uint32_t i = 0; i < exit.count; ++i) {
    const absl::Span<uint8_t> data =
        exit.data.subspan(size_t{i} * exit.width, exit.width);
    if (exit.is_write) {
      ports_.Write(exit.address, data);
    } else {
      ports_.Read(exit.address, data);
    }
  }
}

std::string VcpuThread::InstructionBytes(const VcpuExit& exit) const {
  std::array<uint8_t, 15> bytes = exit.instruction;
  size_t size = exit.instruction_size;
  if (size == 0) {
    // KVM did not tell: read them where the instruction pointer leads.
    const std::optional<memory::GuestAddress> address =
        vcpu_.Translate(vcpu_.InstructionPointer());
    // Instructions are at most 15 bytes; near the end of RAM or of a page the
    // run may be shorter than that, so take what is in this page.
    if (!address.has_value()) return "unknown bytes";
    const uint64_t to_page_end = 4096 - address->value() % 4096;
    size = to_page_end < bytes.size() ? to_page_end : bytes.size();
    if (!memory_.Read(*address, absl::MakeSpan(bytes.data(), size))) {
      return "unknown bytes";
    }
  }
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    absl::StrAppendFormat(&text, "%s%02x", i == 0 ? "" : " ", bytes[i]);
  }
  return text;
}

void VcpuThread::Fail(const VcpuExit& exit) {
  VmExit end;
  const uint64_t rip = vcpu_.InstructionPointer();
  switch (exit.kind) {
    case VcpuExit::Kind::kTripleFault:
      end.reason = ExitReason::kTripleFault;
      end.detail = absl::StrFormat("vCPU %u shut down at rip %#x", id_, rip);
      break;
    case VcpuExit::Kind::kEmulationFailure:
      end.reason = ExitReason::kEmulationFailure;
      end.detail = absl::StrFormat(
          "vCPU %u: KVM could not emulate the instruction at rip %#x, bytes "
          "%s; a KVM without VMX or SVM emulates every instruction and knows "
          "few: run the guest on hardware virtualization",
          id_, rip, InstructionBytes(exit));
      break;
    case VcpuExit::Kind::kInternalError:
      end.detail = absl::StrFormat("vCPU %u: KVM internal error %u at rip %#x",
                                   id_, exit.code, rip);
      break;
    case VcpuExit::Kind::kEntryFailure:
      end.detail = absl::StrFormat(
          "vCPU %u: the CPU refused to enter the guest, hardware reason %#x",
          id_, exit.code);
      break;
    case VcpuExit::Kind::kHostError:
      end.detail = absl::StrFormat("vCPU %u: KVM_RUN: %s", id_,
                                   std::strerror(static_cast<int>(exit.code)));
      break;
    case VcpuExit::Kind::kOther:
    case VcpuExit::Kind::kPortIo:
    case VcpuExit::Kind::kMmio:
    case VcpuExit::Kind::kInterrupted:
      end.detail = absl::StrFormat("vCPU %u: unexpected KVM exit reason %u",
                                   id_, exit.code);
      break;
  }
  observer_.VcpuFailed(std::move(end));
}

}  // namespace annulus
