#ifndef VMM_RUNNING_VM_H_
#define VMM_RUNNING_VM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "devices/platform/platform_control.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/vm_config.h"
#include "vmm/control/control_server.h"
#include "vmm/control/control_target.h"
#include "vmm/control/event_loop.h"
#include "vmm/counter_sample.h"
#include "vmm/cpu/vcpu_gate.h"
#include "vmm/cpu/vcpu_thread.h"
#include "vmm/cpu/vm_exit.h"
#include "vmm/event_relay.h"
#include "vmm/machine/machine.h"
#include "vmm/resources.h"
#include "vmm/vm_event.h"
#include "vmm/vmm.h"

namespace annulus {

// The life of a VM: threads around a Machine.
//
// Lock order: pause_mu_, mu_, the gate's; parts_mu_ before mu_ and those
//   of devices. The relay's comes last. vCPU threads call End() with no lock
//   held.
class RunningVm final : public Vmm,
                        private ControlTarget,
                        private VcpuObserver,
                        private platform::PlatformControl {
 public:
  RunningVm(const VmConfig& config, std::unique_ptr<EventLoop> loop)
      : config_(config), loop_(std::move(loop)), gate_(config.cpu.count) {}
  ~RunningVm() override;

  // Once, before all else.
  absl::Status Build(Resources resources, int64_t started_ns);

  absl::Status Start() override;
  absl::Status Pause() override;
  absl::Status Resume() override;
  void Stop() override { End({.reason = ExitReason::kStopRequested}); }
  absl::Status PressPowerButton() override;
  absl::Status SetLink(uint32_t index, bool up) override;
  VmState state() const override;
  std::vector<CounterSample> Counters() const override;
  VmExit Wait() override;
  VmTimings timings() const override;

 private:
  enum class Phase : uint8_t { kCreated, kStarted, kEnded };

  // ControlTarget, as far as it is not the Vmm's.
  ControlFacts Facts() const override;
  void StopByControl() override;

  absl::Status Assemble(Resources resources);
  absl::Status StartControl();

  // The first end counts.
  void End(VmExit exit);
  void InterruptVcpus();
  absl::Duration Patience();
  absl::Status CheckLive(absl::string_view what) const;
  // kPaused or kResumed; `paused` is false where the VM has ended meanwhile.
  bool SetPaused(bool paused) ABSL_EXCLUSIVE_LOCKS_REQUIRED(pause_mu_);
  void Tell(VmEvent::Kind kind) { events_.OnEvent({.kind = kind}); }
  void AppendVmCounters(std::vector<CounterSample>& samples) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parts_mu_);

  // On vCPU threads.
  void VcpuFailed(VmExit exit) override { End(std::move(exit)); }
  void FirstEntry() override;
  void FirstExit() override;
  void GuestPoweroff() override { End({.reason = ExitReason::kGuestPoweroff}); }
  void GuestReset() override { End({.reason = ExitReason::kGuestReset}); }
  void DebugExit(uint32_t value) override {
    End({.reason = ExitReason::kDebugExit, .code = value});
  }

  const VmConfig config_;
  const std::unique_ptr<EventLoop> loop_;
  virtio::BoundSocket control_file_;
  std::unique_ptr<ControlServer> server_;  // Or null. Served by control_.
  EventRelay events_;
  VcpuGate gate_;
  // Constant after Build() until Wait() takes them down, which it does once the
  // VM has ended and, for those who call in from elsewhere, under parts_mu_.
  std::unique_ptr<Machine> machine_;
  std::vector<std::unique_ptr<VcpuThread>> vcpus_;
  Thread control_;
  int64_t started_ns_ = 0;
  int64_t created_ns_ = 0;
  std::atomic<int64_t> running_since_ns_{0};  // Relaxed, as the next.

  // Relaxed: figures for people, read one by one.
  std::atomic<int64_t> first_entry_ns_{0};
  std::atomic<int64_t> first_exit_ns_{0};
  std::atomic<int64_t> first_exit_process_cpu_ns_{0};

  // Held while machine_ or vcpus_ are used by callers of the Vmm, or vanish.
  mutable Mutex parts_mu_;
  // What the VM itself had counted when they did.
  std::vector<CounterSample> last_counters_ ABSL_GUARDED_BY(parts_mu_);

  // One Pause() or Resume() at a time.
  Mutex pause_mu_;

  mutable Mutex mu_;
  CondVar ended_;
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kCreated;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  VmExit exit_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus

#endif  // VMM_RUNNING_VM_H_
