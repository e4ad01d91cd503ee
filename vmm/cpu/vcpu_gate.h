#ifndef VMM_CPU_VCPU_GATE_H_
#define VMM_CPU_VCPU_GATE_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "base/mutex.h"

namespace annulus {

// Lets all vCPU threads of a VM run, wait or end, together. It starts shut.
//
// The hand-over: a vCPU thread calls Pass() before each entry into the guest.
// Close() and End() first change the state and then call `interrupt`, which
// makes every vCPU come back to Pass(). Pass() forgets such an interruption
// (`forget`) under the same lock as it reads the state, so none is lost.
//
// Threads: Pass() from vCPU threads, the rest from any thread.
class VcpuGate {
 public:
  explicit VcpuGate(uint32_t vcpu_count) : vcpu_count_(vcpu_count) {}

  // Blocks while the gate is shut. True: enter the guest. False: end.
  [[nodiscard]] bool Pass(absl::FunctionRef<void()> forget);

  // To be called by a vCPU thread that will not call Pass() again.
  void Leave();

  void Open();

  // Returns when every vCPU waits in Pass() or has left.
  void Close(absl::FunctionRef<void()> interrupt);

  // For good. Does not wait.
  void End(absl::FunctionRef<void()> interrupt);

  bool ended();

 private:
  enum class State : uint8_t { kShut, kOpen, kEnded };

  const uint32_t vcpu_count_;
  Mutex mu_;
  CondVar changed_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kShut;
  uint32_t parked_ ABSL_GUARDED_BY(mu_) = 0;  // In Pass(), waiting, or left.
};

}  // namespace annulus

#endif  // VMM_CPU_VCPU_GATE_H_
