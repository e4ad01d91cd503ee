#ifndef VMM_CONTROL_FAKE_CONTROL_TARGET_H_
#define VMM_CONTROL_FAKE_CONTROL_TARGET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "vmm/control/control_target.h"
#include "vmm/counter_sample.h"
#include "vmm/vm_event.h"

namespace annulus {

// A VM that does nothing and remembers what it was asked for: what belongs to
// the socket is tested by it, what belongs to a VM with one, in tests/kvm.
class FakeControlTarget final : public ControlTarget {
 public:
  ControlFacts Facts() const override {
    const MutexLock lock(mu_);
    return {.name = "fake",
            .state = state_,
            .uptime_ms = 1500,
            .cpus = 2,
            .memory_bytes = 512 << 20,
            .net_cards = 1};
  }
  absl::Status Pause() override {
    Note("pause");
    return SetState(VmState::kPaused);
  }
  absl::Status Resume() override {
    Note("resume");
    return SetState(VmState::kRunning);
  }
  void StopByControl() override {
    Note("stop");
    SetState(VmState::kStopped).IgnoreError();  // It may have stopped before.
    if (on_stop) on_stop();
  }
  absl::Status PressPowerButton() override {
    Note("button");
    return absl::OkStatus();
  }
  absl::Status SetLink(uint32_t card, bool up) override {
    if (card != 0) return absl::NotFoundError("there is no such card");
    Note(absl::StrCat("link ", up ? "up" : "down"));
    return absl::OkStatus();
  }
  std::vector<CounterSample> Counters() const override {
    return std::vector<CounterSample>(counters, {.device = "net0",
                                                 .queue = "rx0",
                                                 .name = "drops",
                                                 .reason = "filtered",
                                                 .value = 7});
  }

  std::vector<std::string> TakeCalls() {
    const MutexLock lock(mu_);
    return std::exchange(calls_, {});
  }

  // To be set before use.
  std::function<void()> on_stop = nullptr;
  size_t counters = 1;

 private:
  void Note(std::string call) {
    const MutexLock lock(mu_);
    // A fuzzer asks for ever.
    if (calls_.size() < 1000) calls_.push_back(std::move(call));
  }
  absl::Status SetState(VmState state) {
    const MutexLock lock(mu_);
    if (state_ == VmState::kStopped) {
      return absl::FailedPreconditionError("the VM has stopped");
    }
    state_ = state;
    return absl::OkStatus();
  }

  mutable Mutex mu_;
  VmState state_ ABSL_GUARDED_BY(mu_) = VmState::kRunning;
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus

#endif  // VMM_CONTROL_FAKE_CONTROL_TARGET_H_
