#ifndef TESTS_KVM_GUEST_VM_H_
#define TESTS_KVM_GUEST_VM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "vmm/config/vm_config.h"
#include "vmm/vmm.h"

namespace annulus {

// The microguests of tests/guest, as data of the test.
inline constexpr char kMicroguest[] = "tests/guest/microguest.elf";
inline constexpr char kMicroguestLinux64[] =
    "tests/guest/microguest_linux64.elf";
inline constexpr char kBootTimer[] = "tests/guest/boot_timer.elf";

// Why no guest can run here; OK if one can.
absl::Status KvmStatus();

// First line of a test that runs a guest.
#define SKIP_WITHOUT_KVM()                                          \
  if (const absl::Status kvm = ::annulus::KvmStatus(); !kvm.ok()) { \
    GTEST_SKIP() << "no guest can run: " << kvm.message();          \
  }                                                                 \
  static_assert(true)

// /dev/kvm and a microguest, by its path in the runfiles; no console.
Resources OpenMicroguest(const std::string& kernel);

// A small machine that runs `program` of the microguest.
VmConfig MicroguestConfig(absl::string_view program);

// Device `index` of its transport, as the guest's options. Part of the machine
// that the guests see: vmm/machine/address_map.h.
std::string DeviceOptions(TransportKind transport, uint32_t index);

// A VM through the public library, with its console at hand.
//
// A guest that runs for a minute is stopped, so a test never waits for ever: it
// fails, on the exit reason or on what it did not find in the output.
//
// Threads: the test's thread; one more reads the console.
class GuestVm {
 public:
  // Does not start it. `kernel` is a path in the runfiles.
  static absl::StatusOr<std::unique_ptr<GuestVm>> Create(
      const VmConfig& config, const std::string& kernel = kMicroguest);
  ~GuestVm();

  Vmm& vmm() { return *vmm_; }

  // Types on the guest's console.
  void Type(absl::string_view text);

  // Blocks until the console shows `text` once more after what earlier calls
  // have found; false if the guest failed or was stopped without.
  bool AwaitOutput(absl::string_view text);

  // Waits until the VM has stopped, and destroys it.
  VmExit Finish();

  // All that was printed until now; after Finish() all.
  std::string Output();

 private:
  GuestVm() = default;

  void ReadConsole();

  // Changed under mu_, after the reader has started.
  std::unique_ptr<Vmm> vmm_;
  UniqueFd console_in_;  // Our ends of two pipes.
  UniqueFd console_out_;
  std::thread reader_;

  Mutex mu_;
  CondVar changed_;
  std::string output_ ABSL_GUARDED_BY(mu_);
  size_t found_ ABSL_GUARDED_BY(mu_) = 0;  // End of what AwaitOutput() found.
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

// Runs a guest from start to end.
struct GuestResult {
  VmExit exit;
  std::string output;
};
GuestResult RunGuest(const VmConfig& config,
                     const std::string& kernel = kMicroguest);

// That the guest's program succeeded.
void ExpectPass(const GuestResult& result);

}  // namespace annulus

#endif  // TESTS_KVM_GUEST_VM_H_
