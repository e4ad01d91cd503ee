#include "vmm/vmm.h"

#include <atomic>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "devices/platform/platform_control.h"
#include "vmm/control/event_loop.h"
#include "vmm/cpu/vcpu_gate.h"
#include "vmm/cpu/vcpu_thread.h"
#include "vmm/machine/machine.h"

namespace annulus {
namespace {

// At most 15 bytes, which is what the kernel keeps; a long VM name is cut, so
// that threads stay apart.
std::string ThreadName(absl::string_view vm, const std::string& role) {
  constexpr size_t kMaxThreadName = 15;
  return absl::StrCat(vm.substr(0, kMaxThreadName - role.size() - 1), "/",
                      role);
}

int64_t ProcessCpuNanoseconds() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// The life of a VM: threads around a Machine.
//
// Lock order: mu_, then the gate's. vCPU threads call End() with no lock held.
class RunningVm final : public Vmm,
                        private VcpuObserver,
                        private platform::PlatformControl {
 public:
  RunningVm(const VmConfig& config, std::unique_ptr<EventLoop> loop)
      : config_(config), loop_(std::move(loop)), gate_(config.cpu.count) {}

  ~RunningVm() override {
    Stop();
    Wait();
  }

  absl::Status Build(Resources resources, int64_t started_ns);

  absl::Status Start() override;
  absl::Status Pause() override;
  absl::Status Resume() override;
  void Stop() override { End({.reason = ExitReason::kStopRequested}); }
  VmExit Wait() override;
  VmTimings timings() const override;

 private:
  enum class Phase : uint8_t { kCreated, kStarted, kEnded };

  // The first end counts.
  void End(VmExit exit);
  void InterruptVcpus();
  absl::Status CheckLive(absl::string_view what);

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
  VcpuGate gate_;
  // Constant after Build() until Wait() takes them down.
  std::unique_ptr<Machine> machine_;
  std::vector<std::unique_ptr<VcpuThread>> vcpus_;
  Thread control_;
  int64_t started_ns_ = 0;
  int64_t created_ns_ = 0;

  // Relaxed: figures for people, read one by one.
  std::atomic<int64_t> first_entry_ns_{0};
  std::atomic<int64_t> first_exit_ns_{0};
  std::atomic<int64_t> first_exit_process_cpu_ns_{0};

  Mutex mu_;
  CondVar ended_;
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kCreated;
  VmExit exit_ ABSL_GUARDED_BY(mu_);
};

absl::Status RunningVm::Build(Resources resources, int64_t started_ns) {
  started_ns_ = started_ns;
  LogSink& log = resources.log != nullptr ? *resources.log : NullLogSink();
  ANNULUS_ASSIGN_OR_RETURN(
      machine_,
      Machine::Create(config_, std::move(resources), *this, *loop_, log));
  ANNULUS_ASSIGN_OR_RETURN(
      control_, Thread::Start(ThreadName(config_.name, "control"), [this] {
        loop_->Run();
        machine_->console().Flush();
      }));
  std::vector<kvm::KvmVcpu> vcpus = machine_->TakeVcpus();
  for (uint32_t id = 0; id < vcpus.size(); ++id) {
    VcpuThreadOptions options = {
        .id = id,
        .name = ThreadName(config_.name, absl::StrCat("cpu", id)),
        .host_cpu = std::nullopt};
    if (id < config_.cpu.pinning.size()) {
      options.host_cpu = config_.cpu.pinning[id];
    }
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<VcpuThread> thread,
        VcpuThread::Create(options, std::move(vcpus[id]), gate_,
                           machine_->mmio(), machine_->ports(),
                           machine_->memory(), *this));
    vcpus_.push_back(std::move(thread));
  }
  created_ns_ = MonotonicNanoseconds() - started_ns_;
  return absl::OkStatus();
}

absl::Status RunningVm::Start() {
  MutexLock lock(mu_);
  if (phase_ != Phase::kCreated) {
    return absl::FailedPreconditionError(
        phase_ == Phase::kStarted ? "Start: the VM was started already"
                                  : "Start: the VM has stopped");
  }
  phase_ = Phase::kStarted;
  gate_.Open();
  return absl::OkStatus();
}

absl::Status RunningVm::CheckLive(absl::string_view what) {
  MutexLock lock(mu_);
  if (phase_ == Phase::kStarted) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, phase_ == Phase::kCreated ? ": the VM was not started"
                                                   : ": the VM has stopped"));
}

absl::Status RunningVm::Pause() {
  ANNULUS_RETURN_IF_ERROR(CheckLive("Pause"));
  gate_.Close([this] { InterruptVcpus(); });
  return CheckLive("Pause");  // It may have ended meanwhile.
}

absl::Status RunningVm::Resume() {
  ANNULUS_RETURN_IF_ERROR(CheckLive("Resume"));
  gate_.Open();
  return absl::OkStatus();
}

void RunningVm::InterruptVcpus() {
  for (const std::unique_ptr<VcpuThread>& vcpu : vcpus_) vcpu->Interrupt();
}

void RunningVm::End(VmExit exit) {
  MutexLock lock(mu_);
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  exit_ = std::move(exit);
  // Under mu_, so that Wait() cannot destroy the vCPUs meanwhile.
  gate_.End([this] { InterruptVcpus(); });
  ended_.NotifyAll();
}

VmExit RunningVm::Wait() {
  {
    MutexLock lock(mu_);
    while (phase_ != Phase::kEnded) ended_.Wait(mu_);
  }
  // Nobody prints any more once the vCPUs are gone; then the control thread
  // writes out the rest. Workers end with the machine.
  vcpus_.clear();
  loop_->Stop();
  control_.Join();
  machine_.reset();
  MutexLock lock(mu_);
  return exit_;
}

void RunningVm::FirstEntry() {
  first_entry_ns_.store(MonotonicNanoseconds() - started_ns_,
                        std::memory_order_relaxed);
}

void RunningVm::FirstExit() {
  first_exit_process_cpu_ns_.store(ProcessCpuNanoseconds(),
                                   std::memory_order_relaxed);
  first_exit_ns_.store(MonotonicNanoseconds() - started_ns_,
                       std::memory_order_relaxed);
}

VmTimings RunningVm::timings() const {
  return {.origin_ns = started_ns_,
          .created_ns = created_ns_,
          .first_entry_ns = first_entry_ns_.load(std::memory_order_relaxed),
          .first_exit_ns = first_exit_ns_.load(std::memory_order_relaxed),
          .first_exit_process_cpu_ns =
              first_exit_process_cpu_ns_.load(std::memory_order_relaxed)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Vmm>> Vmm::Create(const VmConfig& config,
                                                 Resources resources) {
  const int64_t started_ns = MonotonicNanoseconds();
  ANNULUS_RETURN_IF_ERROR(ValidateVmConfig(config));
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop,
                           EventLoop::Create());
  auto vm = std::make_unique<RunningVm>(config, std::move(loop));
  ANNULUS_RETURN_IF_ERROR(vm->Build(std::move(resources), started_ns));
  return std::unique_ptr<Vmm>(std::move(vm));
}

}  // namespace annulus
