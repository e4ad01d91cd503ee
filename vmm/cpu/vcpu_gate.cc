#include "vmm/cpu/vcpu_gate.h"

namespace annulus {

bool VcpuGate::Pass(absl::FunctionRef<void()> forget) {
  MutexLock lock(mu_);
  if (state_ == State::kShut) {
    ++parked_;
    changed_.NotifyAll();
    while (state_ == State::kShut) changed_.Wait(mu_);
    --parked_;
  }
  forget();
  return state_ == State::kOpen;
}

void VcpuGate::Leave() {
  MutexLock lock(mu_);
  ++parked_;
  changed_.NotifyAll();
}

void VcpuGate::Open() {
  MutexLock lock(mu_);
  if (state_ == State::kEnded) return;
  state_ = State::kOpen;
  changed_.NotifyAll();
}

void VcpuGate::Close(absl::FunctionRef<void()> interrupt) {
  MutexLock lock(mu_);
  if (state_ == State::kEnded) return;
  state_ = State::kShut;
  interrupt();
  while (state_ == State::kShut && parked_ < vcpu_count_) changed_.Wait(mu_);
}

void VcpuGate::End(absl::FunctionRef<void()> interrupt) {
  MutexLock lock(mu_);
  state_ = State::kEnded;
  changed_.NotifyAll();
  interrupt();
}

bool VcpuGate::ended() {
  MutexLock lock(mu_);
  return state_ == State::kEnded;
}

}  // namespace annulus
