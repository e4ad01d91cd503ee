// A program that embeds the library and puts all of itself into the sandbox
// that annulus run has, the thread included that starts and stops the VM.

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/status_macros.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/embed/guest_parts.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/sandbox/forked_child.h"
#include "vmm/sandbox/landlock_needs.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/sandbox/sandbox_mode.h"
#include "vmm/sandbox/sandbox_role.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

// For tools/sandbox_report, as in tests/kvm/traced_threads.cc: nothing is
// denied then.
SandboxOptions OptionsOf(const VmConfig& config) {
  SandboxOptions options;
  options.landlock = LandlockNeeds(config);
  if (const char* report = std::getenv("ANNULUS_TRACE_THREADS")) {
    options.mode = SandboxMode::kTrace;
    options.report_fd =
        ::open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  return options;
}

// Of the guest.
absl::Status Await(absl::string_view text, const UniqueFd& console) {
  std::string output;
  char byte;
  while (::read(console.get(), &byte, 1) == 1) {
    output.push_back(byte);
    if (absl::EndsWith(output, text)) return absl::OkStatus();
  }
  return absl::InternalError(output);
}

absl::Status UseAndStop(const VmConfig& config, absl::string_view text,
                        const UniqueFd& console, Vmm& vmm) {
  ANNULUS_RETURN_IF_ERROR(vmm.Start());
  ANNULUS_RETURN_IF_ERROR(Await(text, console));
  ANNULUS_RETURN_IF_ERROR(vmm.Pause());
  if (!config.net.empty()) {
    ANNULUS_RETURN_IF_ERROR(vmm.SetLink(0, false));
    ANNULUS_RETURN_IF_ERROR(vmm.SetLink(0, true));
  }
  ANNULUS_RETURN_IF_ERROR(vmm.Resume());
  if (vmm.Counters().empty()) return absl::InternalError("nothing is counted");
  vmm.Stop();
  if (const VmExit exit = vmm.Wait();
      exit.reason != ExitReason::kStopRequested) {
    return absl::InternalError(exit.detail);
  }
  return absl::OkStatus();
}

// Whether the process gives up what LockProcess() takes, or its threads their
// system calls alone.
enum class Locks : uint8_t { kProcess, kThreads };

// In a process of its own, until all is gone again.
absl::Status LiveInSandbox(VmConfig config, absl::string_view text,
                           Locks locks) {
  // That of tests/kvm has stayed in the parent.
  const ScopedThreadSetup none(nullptr);
  config.boot.kernel = kMicroguest;
  ANNULUS_ASSIGN_OR_RETURN(Resources resources, OpenResources(config));
  auto [console, theirs] = MakePipe();
  resources.console_out = std::move(theirs);
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<Sandbox> sandbox,
                           Sandbox::Create(OptionsOf(config), NullLogSink()));
  if (locks == Locks::kProcess) {
    ANNULUS_RETURN_IF_ERROR(sandbox->LockProcess());
  } else if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "no_new_privs");
  }
  std::unique_ptr<Vmm> vmm;
  {
    const ScopedThreadSetup setup(sandbox.get());
    ANNULUS_ASSIGN_OR_RETURN(vmm, Vmm::Create(config, std::move(resources)));
  }
  ANNULUS_RETURN_IF_ERROR(sandbox->EnterThread(SandboxRole::kMain, "main"));
  return UseAndStop(config, text, console, *vmm);
}

// Once it has printed `text`, the guest is used and stopped.
void ExpectLifeInSandbox(const VmConfig& config, absl::string_view text,
                         Locks locks = Locks::kProcess) {
  SKIP_WITHOUT_KVM();
  const ChildEnd end = InChild([&] {
    const absl::Status status = LiveInSandbox(config, text, locks);
    if (status.ok()) return 0;
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  });
  EXPECT_EQ(end.signal, 0);
  EXPECT_EQ(end.exit_code, 0) << end.output;
}

TEST(OwnSandboxTest, GuestThatDoesNothing) {
  ExpectLifeInSandbox(MicroguestConfig("spin"), "spinning");
}

TEST(OwnSandboxTest, ProcessThatHasASandboxOfItsOwn) {
  ExpectLifeInSandbox(MicroguestConfig("spin"), "spinning", Locks::kThreads);
}

TEST(OwnSandboxTest, GuestWithCard) {
  for (const TransportKind transport :
       {TransportKind::kMmio, TransportKind::kPci}) {
    ExpectLifeInSandbox(NetConfigOf(transport, NetConfig::Backend::kLoopback,
                                    /*rounds=*/1'000'000),
                        "microguest");
  }
}

// Its queue makes the socket in the directory anew when it stops.
TEST(OwnSandboxTest, GuestOfASwitchOfProcesses) {
  const UniqueFd listener = ListenSomewhere();
  VmConfig config = VsockConfigOf(TransportKind::kMmio, listener);
  config.vsock->switch_directory =
      absl::StrCat("/tmp/own_sandbox_test.", ::getpid());
  std::filesystem::create_directory(config.vsock->switch_directory);
  ExpectLifeInSandbox(config, "listening");
  EXPECT_TRUE(std::filesystem::remove(config.vsock->switch_directory));
}

}  // namespace
}  // namespace annulus
