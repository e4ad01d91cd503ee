// What events and ends of VMs consist of, for C. Their numbers are the
// library's own.

#include <cstdint>

#include "base/thread_setup.h"
#include "vmm/c_api.h"
#include "vmm/c_api/handles.h"
#include "vmm/vmm.h"

namespace {

using annulus::ExitReason;
using annulus::VmState;
using Kind = annulus::VmEvent::Kind;

constexpr bool Is(auto ours, int32_t c) {
  return static_cast<int32_t>(ours) == c;
}

// C's numbers are for ever; a change of the library's is to be noticed here.
static_assert(Is(Kind::kStarted, ANNULUS_EVENT_STARTED) &&
              Is(Kind::kPaused, ANNULUS_EVENT_PAUSED) &&
              Is(Kind::kResumed, ANNULUS_EVENT_RESUMED) &&
              Is(Kind::kDriverReady, ANNULUS_EVENT_DRIVER_READY) &&
              Is(Kind::kDeviceReset, ANNULUS_EVENT_DEVICE_RESET) &&
              Is(Kind::kQueueBroken, ANNULUS_EVENT_QUEUE_BROKEN) &&
              Is(Kind::kLinkChanged, ANNULUS_EVENT_LINK_CHANGED) &&
              Is(Kind::kStopped, ANNULUS_EVENT_STOPPED));
static_assert(Is(ExitReason::kGuestPoweroff, ANNULUS_EXIT_GUEST_POWEROFF) &&
              Is(ExitReason::kGuestReset, ANNULUS_EXIT_GUEST_RESET) &&
              Is(ExitReason::kTripleFault, ANNULUS_EXIT_TRIPLE_FAULT) &&
              Is(ExitReason::kEmulationFailure,
                 ANNULUS_EXIT_EMULATION_FAILURE) &&
              Is(ExitReason::kStopRequested, ANNULUS_EXIT_STOP_REQUESTED) &&
              Is(ExitReason::kHostError, ANNULUS_EXIT_HOST_ERROR) &&
              Is(ExitReason::kDebugExit, ANNULUS_EXIT_DEBUG_EXIT));
static_assert(Is(VmState::kCreated, ANNULUS_STATE_CREATED) &&
              Is(VmState::kRunning, ANNULUS_STATE_RUNNING) &&
              Is(VmState::kPaused, ANNULUS_STATE_PAUSED) &&
              Is(VmState::kStopped, ANNULUS_STATE_STOPPED));
static_assert(Is(annulus::LogSeverity::kDebug, ANNULUS_DEBUG) &&
              Is(annulus::LogSeverity::kInfo, ANNULUS_INFO) &&
              Is(annulus::LogSeverity::kWarning, ANNULUS_WARNING) &&
              Is(annulus::LogSeverity::kError, ANNULUS_ERROR));

static_assert(Is(annulus::ThreadKind::kVcpu, ANNULUS_THREAD_VCPU) &&
              Is(annulus::ThreadKind::kQueue, ANNULUS_THREAD_QUEUE) &&
              Is(annulus::ThreadKind::kSocketQueue,
                 ANNULUS_THREAD_SOCKET_QUEUE) &&
              Is(annulus::ThreadKind::kVhostUser, ANNULUS_THREAD_VHOST_USER) &&
              Is(annulus::ThreadKind::kControl, ANNULUS_THREAD_CONTROL));

}  // namespace

extern "C" {

annulus_event_kind annulus_event_get_kind(const annulus_event* event) noexcept {
  return event == nullptr ? -1
                          : static_cast<annulus_event_kind>(event->event.kind);
}

int64_t annulus_event_time_ns(const annulus_event* event) noexcept {
  return event == nullptr ? 0 : event->event.time_ns;
}

const char* annulus_event_device(const annulus_event* event) noexcept {
  return event == nullptr ? "" : event->event.device.c_str();
}

uint32_t annulus_event_queue(const annulus_event* event) noexcept {
  return event == nullptr ? 0 : event->event.queue;
}

int annulus_event_link_up(const annulus_event* event) noexcept {
  return event != nullptr && event->event.link_up ? 1 : 0;
}

const annulus_exit* annulus_event_exit(const annulus_event* event) noexcept {
  return event != nullptr && event->exit.has_value() ? &*event->exit : nullptr;
}

annulus_exit_reason annulus_exit_get_reason(
    const annulus_exit* vm_exit) noexcept {
  return vm_exit == nullptr
             ? -1
             : static_cast<annulus_exit_reason>(vm_exit->exit.reason);
}

const char* annulus_exit_reason_name(annulus_exit_reason reason) noexcept {
  if (reason < ANNULUS_EXIT_GUEST_POWEROFF ||
      reason > ANNULUS_EXIT_DEBUG_EXIT) {
    return "";
  }
  // Of a literal, so that a NUL follows.
  return annulus::ExitReasonName(static_cast<ExitReason>(reason)).data();
}

const char* annulus_exit_detail(const annulus_exit* vm_exit) noexcept {
  return vm_exit == nullptr ? "" : vm_exit->exit.detail.c_str();
}

uint32_t annulus_exit_code(const annulus_exit* vm_exit) noexcept {
  return vm_exit == nullptr ? 0 : vm_exit->exit.code;
}

}  // extern "C"
