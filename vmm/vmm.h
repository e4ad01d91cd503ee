#ifndef VMM_VMM_H_
#define VMM_VMM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "vmm/config/config_text.h"
#include "vmm/config/vm_config.h"

// Annulus as a library: the one header that an embedder includes.
//
//   annulus::VmConfig config;
//   config.boot.kernel = "vmlinuz";
//   auto resources = annulus::OpenResources(config);      // or fill it
//   yourself auto vm = annulus::Vmm::Create(config, *std::move(resources)); if
//   (absl::Status s = (*vm)->Start(); !s.ok()) ... annulus::VmExit exit =
//   (*vm)->Wait();

namespace annulus {

// Everything that a VM needs from the outside, opened by the embedder: a
// sandboxed process gets these descriptors passed and opens nothing itself.
struct Resources {
  UniqueFd kvm;          // /dev/kvm, read-write.
  UniqueFd kernel;       // A regular file, from its beginning.
  UniqueFd initrd;       // Likewise; not valid: no initrd.
  UniqueFd console_in;   // Bytes for the guest's serial port; not valid: none.
  UniqueFd console_out;  // What the guest prints; not valid: dropped.
  LogSink* log = nullptr;  // Outlives the Vmm. Null: log lines are dropped.
};

// Opens /dev/kvm and the files that `config` names; console_in and console_out
// are duplicates of standard input and output for ConsoleConfig::kStdio. For
// embedders that are not sandboxed. An error names the file and the reason.
absl::StatusOr<Resources> OpenResources(const VmConfig& config);

// Why a VM stopped.
enum class ExitReason : uint8_t {
  kGuestPoweroff,     // ACPI S5.
  kGuestReset,        // ACPI reset register or keyboard controller.
  kTripleFault,       // The guest's CPU shut down.
  kEmulationFailure,  // KVM met an instruction that it cannot emulate.
  kStopRequested,     // Stop().
  kHostError,         // A host call failed.
};

// "guest poweroff" and so on, for people.
absl::string_view ExitReasonName(ExitReason reason);

struct VmExit {
  ExitReason reason = ExitReason::kHostError;
  // One line for people: which vCPU, instruction bytes, the host's error.
  // Empty where the reason says it all.
  std::string detail;
};

// Where the time went, CLOCK_MONOTONIC nanoseconds since Create() was called;
// 0 for what has not happened.
struct VmTimings {
  int64_t created_ns = 0;      // Create() returned.
  int64_t first_entry_ns = 0;  // vCPU 0 was about to enter the guest.
};

// One virtual machine.
//
// Threads: thread-compatible, save that Stop() may be called from any thread
//   while another one is in Wait(). Each vCPU, each virtqueue that carries data
//   and the control loop have threads of their own, inside.
// Process: never exits, installs no signal handler, keeps no global state;
//   several may live in one process. vCPU threads are interrupted through
//   KVM's immediate_exit and a real-time signal that the threads themselves
//   block, so the process's dispositions do not change.
// Files: nothing is opened after Start() returned.
class Vmm {
 public:
  // Validates `config`, builds the machine and loads the kernel. The error says
  // what was tried on which object.
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

  // Asks the VM to stop; idempotent, returns at once.
  virtual void Stop() = 0;

  // Blocks until the VM has stopped, for whichever reason came first, and all
  // of its threads have ended; what the guest printed has been written out.
  virtual VmExit Wait() = 0;

  virtual VmTimings timings() const = 0;
};

}  // namespace annulus

#endif  // VMM_VMM_H_
