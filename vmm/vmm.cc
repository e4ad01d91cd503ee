#include "vmm/vmm.h"

#include <cstdint>
#include <utility>

#include "base/clock.h"
#include "base/settle_heap.h"
#include "base/status_macros.h"
#include "vmm/control/event_loop.h"
#include "vmm/running_vm.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<Vmm>> Vmm::Create(const VmConfig& config,
                                                 Resources resources) {
  const int64_t started_ns = MonotonicNanoseconds();
  ANNULUS_RETURN_IF_ERROR(ValidateVmConfig(config));
  SettleHeap();
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop,
                           EventLoop::Create());
  auto vm = std::make_unique<RunningVm>(config, std::move(loop));
  ANNULUS_RETURN_IF_ERROR(vm->Build(std::move(resources), started_ns));
  return std::unique_ptr<Vmm>(std::move(vm));
}

}  // namespace annulus
