#include "vmm/running_vm.h"

#include <ctime>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/thread_entries.h"

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

}  // namespace

RunningVm::~RunningVm() {
  Stop();
  Wait();
}

absl::Status RunningVm::Build(Resources resources, int64_t started_ns) {
  started_ns_ = started_ns;
  VmEventSink* const embedder = resources.events;
  {
    ThreadEntries entries;
    const absl::Status assembled = Assemble(std::move(resources));
    // What the lack of a thread led to is not the cause.
    ANNULUS_RETURN_IF_ERROR(entries.Await());
    ANNULUS_RETURN_IF_ERROR(assembled);
  }
  // Before anybody can be told to stop it; of a VM that nobody gets, nobody
  // hears.
  events_.SetSinks(embedder, server_ != nullptr ? &server_->events() : nullptr);
  if (absl::Status status = StartControl(); !status.ok()) {
    events_.SetSinks(nullptr, nullptr);
    return status;
  }
  created_ns_ = MonotonicNanoseconds() - started_ns_;
  return absl::OkStatus();
}

absl::Status RunningVm::Assemble(Resources resources) {
  LogSink& log = resources.log != nullptr ? *resources.log : NullLogSink();
  UniqueFd control = std::move(resources.control);
  control_file_ = std::move(resources.control_file);
  ANNULUS_ASSIGN_OR_RETURN(
      machine_, Machine::Create(config_, std::move(resources), *this, *loop_,
                                events_, log));
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
  if (control.valid()) {
    ANNULUS_ASSIGN_OR_RETURN(
        server_,
        ControlServer::Create(std::move(control), config_.control.allowed_uids,
                              *this, *loop_));
  }
  return absl::OkStatus();
}

// When all else is there, as it may be asked for anything.
absl::Status RunningVm::StartControl() {
  ANNULUS_ASSIGN_OR_RETURN(
      control_, Thread::Start(ThreadName(config_.name, "control"), [this] {
        loop_->Run();
        const absl::Duration patience = Patience();
        machine_->console().Flush(patience);
        if (server_ != nullptr) server_->Finish(patience);
      }));
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
  running_since_ns_.store(MonotonicNanoseconds(), std::memory_order_relaxed);
  Tell(VmEvent::Kind::kStarted);
  gate_.Open();
  return absl::OkStatus();
}

absl::Status RunningVm::CheckLive(absl::string_view what) const {
  MutexLock lock(mu_);
  if (phase_ == Phase::kStarted) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, phase_ == Phase::kCreated ? ": the VM was not started"
                                                   : ": the VM has stopped"));
}

absl::Status RunningVm::Pause() {
  const MutexLock pausing(pause_mu_);
  ANNULUS_RETURN_IF_ERROR(CheckLive("Pause"));
  gate_.Close([this] { InterruptVcpus(); });
  if (SetPaused(true)) return absl::OkStatus();
  return CheckLive("Pause");  // It has ended meanwhile.
}

absl::Status RunningVm::Resume() {
  const MutexLock pausing(pause_mu_);
  ANNULUS_RETURN_IF_ERROR(CheckLive("Resume"));
  // First the word, then the deed: what the guest does comes behind it.
  if (!SetPaused(false)) return CheckLive("Resume");
  gate_.Open();
  return absl::OkStatus();
}

bool RunningVm::SetPaused(bool paused) {
  const MutexLock lock(mu_);
  if (phase_ != Phase::kStarted) return false;
  if (paused_ != paused) {
    paused_ = paused;
    Tell(paused ? VmEvent::Kind::kPaused : VmEvent::Kind::kResumed);
  }
  return true;
}

void RunningVm::InterruptVcpus() {
  for (const std::unique_ptr<VcpuThread>& vcpu : vcpus_) vcpu->Interrupt();
}

void RunningVm::End(VmExit exit) {
  MutexLock lock(mu_);
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  exit_ = std::move(exit);
  events_.OnEvent({.kind = VmEvent::Kind::kStopped, .exit = exit_});
  // Under mu_, so that Wait() cannot destroy the vCPUs meanwhile. Not there:
  // the VM was not built.
  if (machine_ != nullptr) machine_->EndWaits();
  gate_.End([this] { InterruptVcpus(); });
  ended_.NotifyAll();
}

// With a reader that takes nothing. One that is merely late has the rest of
// what the guest printed, if nobody asked for a quick end.
absl::Duration RunningVm::Patience() {
  MutexLock lock(mu_);
  return exit_.reason == ExitReason::kStopRequested ? absl::Milliseconds(200)
                                                    : absl::Seconds(1);
}

absl::Status RunningVm::PressPowerButton() {
  const MutexLock lock(parts_mu_);
  ANNULUS_RETURN_IF_ERROR(CheckLive("PressPowerButton"));
  machine_->PressPowerButton();
  return absl::OkStatus();
}

absl::Status RunningVm::SetLink(uint32_t index, bool up) {
  const MutexLock lock(parts_mu_);
  if (machine_ == nullptr) return CheckLive("SetLink");
  return machine_->virtio().SetLink(index, up);
}

VmState RunningVm::state() const {
  const MutexLock lock(mu_);
  switch (phase_) {
    case Phase::kCreated:
      return VmState::kCreated;
    case Phase::kStarted:
      return paused_ ? VmState::kPaused : VmState::kRunning;
    case Phase::kEnded:
      break;
  }
  return VmState::kStopped;
}

ControlFacts RunningVm::Facts() const {
  const int64_t since = running_since_ns_.load(std::memory_order_relaxed);
  return {.name = config_.name,
          .state = state(),
          .uptime_ms =
              since == 0 ? 0 : (MonotonicNanoseconds() - since) / 1'000'000,
          .cpus = config_.cpu.count,
          .memory_bytes = config_.memory.size_bytes,
          .net_cards = static_cast<uint32_t>(config_.net.size())};
}

void RunningVm::StopByControl() {
  End({.reason = ExitReason::kStopRequested,
       .detail = "through the control socket"});
}

std::vector<CounterSample> RunningVm::Counters() const {
  const MutexLock lock(parts_mu_);
  if (machine_ == nullptr) return last_counters_;
  std::vector<CounterSample> samples;
  AppendVmCounters(samples);
  machine_->virtio().AppendCounters(samples);
  return samples;
}

void RunningVm::AppendVmCounters(std::vector<CounterSample>& samples) const {
  for (size_t id = 0; id < vcpus_.size(); ++id) {
    const VcpuCounters& counters = vcpus_[id]->counters();
    const struct {
      const char* kind;
      const Counter& counter;
    } kKinds[] = {{"port_io", counters.port_io_exits},
                  {"mmio", counters.mmio_exits},
                  {"interrupted", counters.interrupted_exits}};
    for (const auto& [kind, counter] : kKinds) {
      samples.push_back({.device = {},
                         .queue = absl::StrCat("cpu", id),
                         .name = "vcpu_exits",
                         .reason = kind,
                         .value = counter.value()});
    }
  }
  const struct {
    const char* name;
    const Counter& counter;
  } kConsole[] = {
      {"console_bytes", machine_->console().written_bytes()},
      {"console_bytes_dropped", machine_->console().dropped_bytes()}};
  for (const auto& [name, counter] : kConsole) {
    samples.push_back({.device = {},
                       .queue = {},
                       .name = name,
                       .reason = {},
                       .value = counter.value()});
  }
}

VmExit RunningVm::Wait() {
  {
    MutexLock lock(mu_);
    while (phase_ != Phase::kEnded) ended_.Wait(mu_);
  }
  // Nobody prints any more once the vCPUs are gone; then the control thread
  // writes out the rest. Workers end with the machine.
  std::vector<std::unique_ptr<VcpuThread>> vcpus;
  std::unique_ptr<Machine> machine;
  for (const std::unique_ptr<VcpuThread>& vcpu : vcpus_) vcpu->Join();
  loop_->Stop();
  control_.Join();
  server_.reset();
  control_file_ = {};
  {
    const MutexLock lock(parts_mu_);
    if (machine_ != nullptr) AppendVmCounters(last_counters_);
    vcpus.swap(vcpus_);
    machine.swap(machine_);
  }
  vcpus.clear();
  machine.reset();
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

}  // namespace annulus
