#ifndef VMM_CPU_VCPU_THREAD_H_
#define VMM_CPU_VCPU_THREAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/counter.h"
#include "base/thread.h"
#include "memory/guest_memory.h"
#include "vmm/bus/address_bus.h"
#include "vmm/cpu/vcpu_gate.h"
#include "vmm/cpu/vm_exit.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace annulus {

// What a vCPU thread tells the VM.
//
// Threads: thread-safe.
class VcpuObserver {
 public:
  virtual ~VcpuObserver() = default;

  // The VM must end; the thread leaves the gate.
  virtual void VcpuFailed(VmExit exit) = 0;

  // Once, by vCPU 0, just before its first entry into the guest, and once just
  // after it first came back.
  virtual void FirstEntry() = 0;
  virtual void FirstExit() = 0;
};

// Why a vCPU came back from the guest, as far as it went on.
//
// Threads: counted by the vCPU's thread; read by any.
struct VcpuCounters {
  Counter port_io_exits;
  Counter mmio_exits;
  Counter interrupted_exits;  // VcpuThread::Interrupt().
};

struct VcpuThreadOptions {
  uint32_t id = 0;
  std::string name;                  // At most 15 bytes are seen.
  std::optional<uint32_t> host_cpu;  // Pinned to, if given.
};

// The thread of one vCPU: enters the guest and serves its exits on the buses.
//
// Threads: Create() and the destructor on one thread; Interrupt() on any.
// Signals: KVM_RUN alone unblocks SIGURG, which Interrupt() sends; no handler
//   runs, the signal stays pending and is taken back afterwards.
class VcpuThread {
 public:
  // References outlive the object. The thread starts at once, and waits at the
  // gate.
  static absl::StatusOr<std::unique_ptr<VcpuThread>> Create(
      const VcpuThreadOptions& options, kvm::KvmVcpu vcpu, VcpuGate& gate,
      AddressBus& mmio, AddressBus& ports, const memory::GuestMemory& memory,
      VcpuObserver& observer);

  // REQUIRES: the gate has ended, or will without help of this thread.
  ~VcpuThread();

  // Makes the vCPU come back from the guest.
  void Interrupt();

  // Waits until the thread has ended. REQUIRES: as the destructor.
  void Join() { thread_.Join(); }

  const VcpuCounters& counters() const { return counters_; }

 private:
  VcpuThread(const VcpuThreadOptions& options, kvm::KvmVcpu vcpu,
             VcpuGate& gate, AddressBus& mmio, AddressBus& ports,
             const memory::GuestMemory& memory, VcpuObserver& observer);

  void Run();
  void Serve(const kvm::VcpuExit& exit);
  void ServePortIo(const kvm::VcpuExit& exit);
  void Fail(const kvm::VcpuExit& exit);
  std::string InstructionBytes(const kvm::VcpuExit& exit) const;

  const uint32_t id_;
  kvm::KvmVcpu vcpu_;
  VcpuGate& gate_;
  AddressBus& mmio_;
  AddressBus& ports_;
  const memory::GuestMemory& memory_;
  VcpuObserver& observer_;
  VcpuCounters counters_;
  Thread thread_;  // Last: ends before what it uses.
};

}  // namespace annulus

#endif  // VMM_CPU_VCPU_THREAD_H_
