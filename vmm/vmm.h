#ifndef VMM_VMM_H_
#define VMM_VMM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"               // IWYU pragma: export
#include "base/unique_fd.h"              // IWYU pragma: export
#include "vmm/config/config_text.h"      // IWYU pragma: export
#include "vmm/config/validate_config.h"  // IWYU pragma: export
#include "vmm/config/vm_config.h"        // IWYU pragma: export
#include "vmm/counter_sample.h"          // IWYU pragma: export
#include "vmm/cpu/vm_exit.h"             // IWYU pragma: export
#include "vmm/resources.h"               // IWYU pragma: export
#include "vmm/vm_event.h"                // IWYU pragma: export

// Annulus as a library: the one header that an embedder includes.
//
//   annulus::VmConfig config;
//   config.boot.kernel = "vmlinuz";
//   // Or fill Resources with descriptors of your own.
//   absl::StatusOr<annulus::Resources> resources = OpenResources(config);
//   absl::StatusOr<std::unique_ptr<annulus::Vmm>> vm =
//       annulus::Vmm::Create(config, *std::move(resources));
//   absl::Status started = (*vm)->Start();
//   annulus::VmExit exit = (*vm)->Wait();

namespace annulus {

// Where the time went, CLOCK_MONOTONIC nanoseconds since Create() was called;
// 0 for what has not happened.
struct VmTimings {
  int64_t origin_ns = 0;       // When that was, since the clock's own origin.
  int64_t created_ns = 0;      // Create() returned.
  int64_t first_entry_ns = 0;  // vCPU 0 was about to enter the guest.
  int64_t first_exit_ns = 0;   // vCPU 0 came back for the first time.
  // CPU time that the whole process had used at that moment.
  int64_t first_exit_process_cpu_ns = 0;
};

// One virtual machine.
//
// Threads: Start(), Wait() and the destructor on one thread at a time; the rest
//   from any, also while another one is in Wait(). Each vCPU, each
//   virtqueue that carries data and the control loop have threads of their own,
//   inside.
// Process: never exits, installs no signal handler, keeps no global state;
//   several may live in one process. The library's threads block all signals
//   but those of their own faults; to call a vCPU back, one of them gets
//   SIGURG, which KVM_RUN alone unblocks and no handler sees.
// Trust: kernel, initrd and all that the guest does are untrusted.
// Files: nothing is opened after Start() returned.
class Vmm {
 public:
  // Validates `config`, builds the machine and loads the kernel; kvm, kernel
  // and initrd of `resources` are closed afterwards. The error says what was
  // tried on which object: InvalidArgument for a bad configuration or file,
  // ResourceExhausted for what the host or guest RAM has no room for,
  // FailedPrecondition for a KVM that lacks something, else the host's errno.
  static absl::StatusOr<std::unique_ptr<Vmm>> Create(const VmConfig& config,
                                                     Resources resources);
  // Stops the VM if it runs.
  virtual ~Vmm() = default;

  // Lets the guest run. FailedPrecondition on a second call.
  virtual absl::Status Start() = 0;

  // Pause() returns when no vCPU runs any more; devices stay live. Resume()
  // undoes it. FailedPrecondition before Start() or after the VM has stopped;
  // a repeated call is OK.
  virtual absl::Status Pause() = 0;
  virtual absl::Status Resume() = 0;

  // Asks the VM to stop; idempotent, returns at once. A LogSink may call it.
  virtual void Stop() = 0;

  // Asks the guest to shut itself down, by the power button that ACPI tells it
  // of; whether and when it does so is the guest's affair. FailedPrecondition
  // before Start() or after the VM has stopped.
  virtual absl::Status PressPowerButton() = 0;

  // Pulls the cable of card `index` of the configuration's `net`, or plugs it
  // in: the link is up when this and the backend say so. While it is down,
  // frames are dropped in both directions. NotFound: there is no such card;
  // Unimplemented: another process serves it; FailedPrecondition: the VM has
  // stopped.
  virtual absl::Status SetLink(uint32_t index, bool up) = 0;

  // In which state it is.
  virtual VmState state() const = 0;

  // What all devices have counted since Create(), those of the configuration in
  // its order. Empty after Wait(), except for what the VM itself counts.
  virtual std::vector<CounterSample> Counters() const = 0;

  // Blocks until the VM has stopped, for whichever reason came first (before
  // Start() only Stop() is one), and all of its threads have ended; what the
  // guest printed has been written out.
  virtual VmExit Wait() = 0;

  virtual VmTimings timings() const = 0;
};

}  // namespace annulus

#endif  // VMM_VMM_H_
