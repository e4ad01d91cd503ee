#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread_setup.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "vmm/c_api.h"
#include "vmm/c_api/guard.h"
#include "vmm/c_api/handles.h"
#include "vmm/vmm.h"

namespace {

using annulus::c_api::Guard;
using annulus::c_api::NullArgument;

// The sockets that were handed over, bound and named ones with them.
absl::Status TakeVsock(annulus_resources& taken) {
  if (!taken.vsock.has_value()) return absl::OkStatus();
  ANNULUS_ASSIGN_OR_RETURN(
      annulus::virtio::UnixSockets sockets,
      annulus::virtio::UnixSockets::Open(*std::move(taken.vsock)));
  taken.resources.vsock = annulus::VsockResources{
      .sockets = std::move(sockets), .vsock_switch = {}, .vhost_user = {}};
  return absl::OkStatus();
}

absl::Status Create(const annulus::VmConfig& config, annulus_resources taken,
                    annulus_vm& vm) {
  ANNULUS_RETURN_IF_ERROR(TakeVsock(taken));
  // Cards whose backend needs nothing of the outside.
  if (taken.resources.net.size() < config.net.size()) {
    taken.resources.net.resize(config.net.size());
  }
  vm.log = std::move(taken.log);
  vm.events = std::move(taken.events);
  vm.threads = std::move(taken.threads);
  const annulus::ScopedThreadSetup setup(
      vm.threads != nullptr ? vm.threads.get()
                            : annulus::ScopedThreadSetup::Current());
  taken.resources.log = vm.log.get();
  taken.resources.events = vm.events.get();
  ANNULUS_ASSIGN_OR_RETURN(
      vm.vmm, annulus::Vmm::Create(config, std::move(taken.resources)));
  return absl::OkStatus();
}

// Calls `body` with the Vmm.
template <typename Body>
annulus_code With(const annulus_vm* vm, annulus_error** error,
                  Body body) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (vm == nullptr) return NullArgument("vm");
    return body(*vm->vmm);
  });
}

}  // namespace

extern "C" {

annulus_code annulus_vm_create(const annulus_config* config,
                               annulus_resources* resources, annulus_vm** vm,
                               annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    annulus_resources taken = std::exchange(*resources, annulus_resources());
    if (vm == nullptr) return NullArgument("vm");
    *vm = nullptr;
    if (config == nullptr) return NullArgument("config");
    auto created = std::make_unique<annulus_vm>();
    ANNULUS_RETURN_IF_ERROR(Create(config->config, std::move(taken), *created));
    *vm = created.release();
    return absl::OkStatus();
  });
}

void annulus_vm_free(annulus_vm* vm) noexcept { delete vm; }

annulus_code annulus_vm_start(annulus_vm* vm, annulus_error** error) noexcept {
  return With(vm, error, [](annulus::Vmm& vmm) { return vmm.Start(); });
}

annulus_code annulus_vm_pause(annulus_vm* vm, annulus_error** error) noexcept {
  return With(vm, error, [](annulus::Vmm& vmm) { return vmm.Pause(); });
}

annulus_code annulus_vm_resume(annulus_vm* vm, annulus_error** error) noexcept {
  return With(vm, error, [](annulus::Vmm& vmm) { return vmm.Resume(); });
}

annulus_code annulus_vm_stop(annulus_vm* vm, annulus_error** error) noexcept {
  return With(vm, error, [](annulus::Vmm& vmm) {
    vmm.Stop();
    return absl::OkStatus();
  });
}

annulus_code annulus_vm_press_power_button(annulus_vm* vm,
                                           annulus_error** error) noexcept {
  return With(vm, error,
              [](annulus::Vmm& vmm) { return vmm.PressPowerButton(); });
}

annulus_code annulus_vm_set_link(annulus_vm* vm, uint32_t card, int up,
                                 annulus_error** error) noexcept {
  return With(vm, error,
              [&](annulus::Vmm& vmm) { return vmm.SetLink(card, up != 0); });
}

annulus_code annulus_vm_wait(annulus_vm* vm, const annulus_exit** vm_exit,
                             annulus_error** error) noexcept {
  if (vm_exit != nullptr) *vm_exit = nullptr;
  return With(vm, error, [&](annulus::Vmm& vmm) {
    // Once: an earlier caller has a pointer to it.
    if (!vm->waited) vm->exit.exit = vmm.Wait();
    vm->waited = true;
    if (vm_exit != nullptr) *vm_exit = &vm->exit;
    return absl::OkStatus();
  });
}

annulus_state annulus_vm_state(const annulus_vm* vm) noexcept {
  if (vm == nullptr) return ANNULUS_STATE_INVALID;
  return static_cast<annulus_state>(vm->vmm->state());
}

annulus_code annulus_vm_timings(const annulus_vm* vm, annulus_timings* timings,
                                annulus_error** error) noexcept {
  return With(vm, error, [&](const annulus::Vmm& vmm) -> absl::Status {
    if (timings == nullptr) return NullArgument("timings");
    // Callers of a later version know more fields, which we do not touch.
    const size_t size = std::min(timings->size, sizeof(*timings));
    if (size < sizeof(timings->size)) {
      return absl::InvalidArgumentError(
          absl::StrCat("timings: size is ", timings->size));
    }
    const annulus::VmTimings of_vm = vmm.timings();
    annulus_timings known = {};
    known.size = timings->size;
    known.origin_ns = of_vm.origin_ns;
    known.created_ns = of_vm.created_ns;
    known.first_entry_ns = of_vm.first_entry_ns;
    known.first_exit_ns = of_vm.first_exit_ns;
    known.first_exit_process_cpu_ns = of_vm.first_exit_process_cpu_ns;
    std::memcpy(timings, &known, size);
    return absl::OkStatus();
  });
}

annulus_code annulus_vm_counters(const annulus_vm* vm,
                                 annulus_counter_function on_counter,
                                 void* user, annulus_error** error) noexcept {
  return With(vm, error, [&](const annulus::Vmm& vmm) -> absl::Status {
    if (on_counter == nullptr) return NullArgument("on_counter");
    for (const annulus::CounterSample& sample : vmm.Counters()) {
      on_counter(user, sample.device.c_str(), sample.queue.c_str(),
                 sample.name.c_str(), sample.reason.c_str(), sample.value,
                 sample.gauge ? 1 : 0);
    }
    return absl::OkStatus();
  });
}

}  // extern "C"
