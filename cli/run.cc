#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/console_loop.h"
#include "cli/enter_sandbox.h"
#include "cli/exit_codes.h"
#include "cli/file_limit.h"
#include "cli/jail/jail_config.h"
#include "cli/log.h"
#include "cli/raw_terminal.h"
#include "cli/run_error.h"
#include "cli/run_flags.h"
#include "cli/run_report.h"
#include "vmm/sandbox/landlock_needs.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/vmm.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kDescription =
    "Starts a virtual machine and waits until it ends. What it is made of "
    "comes\n"
    "from flags, a configuration file, or both; docs/configuration.md has "
    "every\n"
    "field.";

constexpr absl::string_view kConsoleHelp =
    "On a terminal every key goes to the guest, but\n"
    "  Ctrl-A X  leaves, Ctrl-A H helps, Ctrl-A Ctrl-A is Ctrl-A itself.\n"
    "The end of standard input does not end the guest.\n";

constexpr absl::string_view kExamples =
    "Examples:\n"
    "  annulus run --kernel vmlinuz --initrd initrd.img\n"
    "  annulus run --kernel vmlinux --cpus 4 --memory 2G --rng pci --quiet\n"
    "  annulus run --config vm.textproto --cmdline 'console=ttyS0 quiet'\n"
    "  annulus run --kernel vmlinuz --console file:guest.log --rng "
    "mmio,packed=off\n"
    "  annulus run --kernel vmlinuz --net tap=tap0,queues=4 --net "
    "passt=/tmp/passt.socket\n"
    "  annulus run --kernel vmlinuz --vsock cid=3,socket=/run/vm.vsock\n";

constexpr char kEscapeHelp[] =
    "\n[annulus] Ctrl-A X: leave   Ctrl-A Ctrl-A: send Ctrl-A   "
    "Ctrl-A H: this help\n";

// The pipe between ConsoleLoop and the guest's serial port.
absl::Status MakeConsolePipe(UniqueFd& to_guest, UniqueFd& console_in) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "creating the console's pipe");
  }
  console_in.reset(ends[0]);
  to_guest.reset(ends[1]);
  return absl::OkStatus();
}

// The configuration that file and flags make up. Errors are one line.
absl::StatusOr<VmConfig> Configure(const RunFlags& flags) {
  VmConfig config;
  std::string prefix;
  if (flags.config_file.has_value()) {
    ANNULUS_ASSIGN_OR_RETURN(config, ReadConfigFile(*flags.config_file));
    prefix = absl::StrCat(ConfigFileName(*flags.config_file), ": ");
  }
  ApplyRunFlags(flags, config);
  if (config.boot.kernel.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        prefix, "boot.kernel: is not given; name one with --kernel FILE"));
  }
  const absl::Status valid = ValidateVmConfig(config);
  if (!valid.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(prefix, valid.message()));
  }
  return config;
}

int Fail(const absl::Status& status, const VmConfig& config) {
  const RunError error = ExplainRunError(status, config);
  PrintError(error.line);
  return static_cast<int>(error.code);
}

// From a VM that is ready to the end of the process.
class Session {
 public:
  // All outlive the session. `to_guest`: see ConsoleLoop; not valid where the
  // console is not standard input and output. `sandbox`: null without one.
  Session(Vmm& vm, const VmConfig& config, const RunFlags& flags,
          Sandbox* sandbox, UniqueFd to_guest)
      : vm_(vm),
        config_(config),
        flags_(flags),
        sandbox_(sandbox),
        to_guest_(std::move(to_guest)) {}

  // Returns the exit code.
  int Run() {
    ConsoleLoop::BlockSignals();
    const bool stdio = to_guest_.valid();
    if (stdio) terminal_.emplace(STDIN_FILENO);
    // A terminal that we are in the background of would stop us on a read.
    const bool on_terminal = ::isatty(STDIN_FILENO) == 1;
    const bool typed = terminal_.has_value() && terminal_->active();
    ConsoleLoop::Options options;
    options.input = stdio && (typed || !on_terminal) ? STDIN_FILENO : -1;
    options.terminal = typed;
    options.to_guest = std::move(to_guest_);
    options.help = kEscapeHelp;
    options.stop = [this](int signal) { Stop(signal); };
    auto loop = StartConsole(std::move(options));
    if (!loop.ok()) return Fail(loop.status(), config_);
    // The last thing before the guest runs.
    const absl::Status locked = EnterMainThread(sandbox_);
    if (!locked.ok()) return Fail(locked, config_);
    const absl::Status started = vm_.Start();
    const double cpu_ms = ProcessCpuMilliseconds();
    // A signal or a control client that came first has ended it: Wait() tells.
    if (!started.ok() && vm_.state() != VmState::kStopped) {
      return Fail(started, config_);
    }
    const VmExit exit = vm_.Wait();
    loop->reset();
    if (typed) {
      terminal_->Restore();
      PrintTerminalLineBreak();
    }
    if (!flags_.quiet) PrintError(ExitLine(exit, stopped_by_));
    if (flags_.timings) {
      PrintError(TimingsLine(vm_.timings(), cpu_ms, UnixOffsetNanoseconds()));
    }
    return ExitCodeOf(exit, stopped_by_);
  }

 private:
  absl::StatusOr<std::unique_ptr<ConsoleLoop>> StartConsole(
      ConsoleLoop::Options options) {
    const ScopedThreadSetup setup(SetupOf(sandbox_, SandboxRole::kConsole));
    return ConsoleLoop::Start(std::move(options));
  }

  // On the console loop's thread.
  void Stop(int signal) {
    if (stopped_by_ != 0) {  // Not the first time: do not wait any longer.
      if (terminal_.has_value()) terminal_->Restore();
      ::_exit(kStoppedBySignal + signal);
    }
    stopped_by_ = signal;
    vm_.Stop();
  }

  // The guest leaves the cursor anywhere.
  static void PrintTerminalLineBreak() {
    if (::isatty(STDERR_FILENO) == 1) {
      [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, "\n", 1);
    }
  }

  Vmm& vm_;
  const VmConfig& config_;
  const RunFlags& flags_;
  Sandbox* const sandbox_;
  UniqueFd to_guest_;
  std::optional<RawTerminal> terminal_;
  std::atomic<int> stopped_by_ = 0;  // Written by the loop's thread.
};

// Each connection of the socket device is a descriptor.
void RaiseLimits(const VmConfig& config, LogSink& log) {
  const absl::StatusOr<uint64_t> limit = RaiseFileLimit();
  if (!limit.ok()) {
    log.Log(LogSeverity::kWarning, limit.status().message());
    return;
  }
  const std::optional<std::string> warning = FileLimitWarning(config, *limit);
  if (warning.has_value()) log.Log(LogSeverity::kWarning, *warning);
}

// Each of its threads is in the sandbox, if there is one, before it does
// anything.
absl::StatusOr<std::unique_ptr<Vmm>> CreateVm(const VmConfig& config,
                                              Resources resources,
                                              Sandbox* sandbox) {
  const ScopedThreadSetup setup(sandbox);
  return Vmm::Create(config, std::move(resources));
}

int RunVm(const VmConfig& config, const RunFlags& flags,
          const JailOptions* jail) {
  StderrLog log(LeastSeverity(flags));
  RaiseLimits(config, log);
  absl::StatusOr<Resources> resources = OpenResources(config);
  if (!resources.ok()) return Fail(resources.status(), config);
  UniqueFd to_guest;
  if (config.console.kind == ConsoleConfig::Kind::kStdio) {
    const absl::Status piped = MakeConsolePipe(to_guest, resources->console_in);
    if (!piped.ok()) return Fail(piped, config);
  }
  resources->log = &log;
  const absl::StatusOr<LockedProcess> process =
      EnterJailAndSandbox(jail, flags.sandbox, LandlockNeeds(config), log);
  if (!process.ok()) return Fail(process.status(), config);
  if (process->exit_code.has_value()) return *process->exit_code;
  Sandbox* const sandbox = process->sandbox.get();
  absl::StatusOr<std::unique_ptr<Vmm>> vm =
      CreateVm(config, *std::move(resources), sandbox);
  if (!vm.ok()) return Fail(vm.status(), config);
  return Session(**vm, config, flags, sandbox, std::move(to_guest)).Run();
}

int Run(Arguments arguments, const JailOptions* jail) {
  RunFlags values;
  FlagSet flags("annulus run [FLAGS]", kDescription);
  AddRunFlags(values, flags);
  flags.AddHelpSection(kConsoleHelp);
  flags.AddHelpSection(kExamples);
  flags.AddHelpSection(kExitCodesHelp);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("run", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    return UsageError("run",
                      absl::StrCat("unexpected argument \"",
                                   ConfigFileName(positional->front()), "\""));
  }
  const absl::StatusOr<VmConfig> config = Configure(values);
  if (!config.ok()) {
    PrintError(config.status().message());
    return static_cast<int>(ExitCode::kUsage);
  }
  if (jail != nullptr) {
    const absl::Status fits = CheckJailConfig(*config);
    if (!fits.ok()) {
      PrintError(fits.message());
      return static_cast<int>(ExitCode::kUsage);
    }
  }
  return RunVm(*config, values, jail);
}

}  // namespace

int RunCommand(Arguments arguments) { return Run(arguments, nullptr); }

int RunCommandInJail(Arguments arguments, const JailOptions& jail) {
  return Run(arguments, &jail);
}

}  // namespace annulus::cli
