// The smallest VMM on Annulus: boots a kernel with the console on the terminal.
//
//   bazel run //examples:minimal_vmm -- /boot/vmlinuz [INITRD] [COMMAND LINE]

#include <cstdio>
#include <memory>
#include <utility>

#include "vmm/vmm.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s KERNEL [INITRD] [COMMAND LINE]\n", argv[0]);
    return 2;
  }
  annulus::VmConfig config;
  config.boot.kernel = argv[1];
  if (argc > 2) config.boot.initrd = argv[2];
  config.boot.cmdline = argc > 3 ? argv[3] : "console=ttyS0 reboot=k panic=-1";
  config.rng.resize(1);  // An entropy device with all defaults.

  // Files, /dev/kvm and the terminal. A sandboxed program gets these passed.
  absl::StatusOr<annulus::Resources> resources = annulus::OpenResources(config);
  if (!resources.ok()) return Fail(resources.status());

  absl::StatusOr<std::unique_ptr<annulus::Vmm>> vm =
      annulus::Vmm::Create(config, *std::move(resources));
  if (!vm.ok()) return Fail(vm.status());

  if (absl::Status started = (*vm)->Start(); !started.ok()) {
    return Fail(started);
  }
  const annulus::VmExit exit = (*vm)->Wait();
  const absl::string_view reason = annulus::ExitReasonName(exit.reason);
  std::fprintf(stderr, "%.*s %s\n", static_cast<int>(reason.size()),
               reason.data(), exit.detail.c_str());
  return exit.reason == annulus::ExitReason::kGuestPoweroff ? 0 : 1;
}
