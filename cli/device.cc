#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/device_discovery.h"
#include "cli/device_flags.h"
#include "cli/enter_sandbox.h"
#include "cli/exit_codes.h"
#include "cli/file_limit.h"
#include "cli/jail/jail_config.h"
#include "cli/log.h"
#include "cli/stop_signals.h"
#include "memory/bus_errors.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/sandbox/landlock_needs.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/standalone/device_resources.h"
#include "vmm/standalone/standalone_devices.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kKinds[] = {"net", "vsock", "rng"};

constexpr absl::string_view kDescription =
    "Serves virtio devices to another VMM, or to DPDK, over vhost-user: a\n"
    "front-end shares its guest's memory, and frames, streams and entropy go\n"
    "directly between that and the host. docs/vhost_user.md tells more.\n"
    "\n"
    "  annulus device net [FLAGS]         a network card\n"
    "  annulus device vsock [FLAGS]       a socket device\n"
    "  annulus device rng [FLAGS]         an entropy device\n"
    "  annulus device --config FILE       several of them in one process\n"
    "\n"
    "Each kind has a --help of its own. As annulus-device-net,\n"
    "annulus-device-vsock or annulus-device-rng (a link to this program) it "
    "is\n"
    "that device, as management software starts it.";

constexpr absl::string_view kNetExamples =
    "Examples:\n"
    "  annulus device net --socket /run/n.sock --backend tap=tap0\n"
    "  annulus device net --socket /run/n.sock --backend "
    "tap=tap0,create=on,queues=2\n"
    "\n"
    "QEMU in front of it (the guest's memory has to be shared):\n"
    "  qemu-system-x86_64 -m 1G \\\n"
    "    -object memory-backend-memfd,id=mem,size=1G,share=on \\\n"
    "    -machine q35,memory-backend=mem \\\n"
    "    -chardev socket,id=c0,path=/run/n.sock,reconnect=1 \\\n"
    "    -netdev vhost-user,id=n0,chardev=c0,queues=2 \\\n"
    "    -device virtio-net-pci,netdev=n0,packed=on,mq=on,vectors=6 ...\n"
    "\n"
    "DPDK in front of it:\n"
    "  dpdk-testpmd --no-pci --in-memory --single-file-segments \\\n"
    "    --vdev net_virtio_user0,path=/run/n.sock,queues=2,packed_vq=1 -- -i\n";

constexpr absl::string_view kVsockExamples =
    "Examples:\n"
    "  annulus device vsock --socket /run/v.sock --backend "
    "cid=3,socket=/run/vm.vsock\n"
    "  annulus vsock connect /run/vm.vsock 1234\n"
    "\n"
    "QEMU in front of it (the guest's memory has to be shared):\n"
    "  qemu-system-x86_64 -m 1G \\\n"
    "    -object memory-backend-memfd,id=mem,size=1G,share=on \\\n"
    "    -machine q35,memory-backend=mem \\\n"
    "    -chardev socket,id=c0,path=/run/v.sock,reconnect=1 \\\n"
    "    -device vhost-user-vsock-pci,chardev=c0 ...\n";

constexpr absl::string_view kRngExamples =
    "Examples:\n"
    "  annulus device rng --socket /run/r.sock\n"
    "\n"
    "QEMU in front of it (the guest's memory has to be shared):\n"
    "  qemu-system-x86_64 -m 1G \\\n"
    "    -object memory-backend-memfd,id=mem,size=1G,share=on \\\n"
    "    -machine q35,memory-backend=mem \\\n"
    "    -chardev socket,id=c0,path=/run/r.sock \\\n"
    "    -device vhost-user-rng-pci,chardev=c0 ...\n";

constexpr absl::string_view kExamples =
    "Examples:\n"
    "  annulus device net --socket /run/n.sock --backend tap=tap0\n"
    "  annulus device vsock --socket /run/v.sock --backend "
    "cid=3,socket=/run/vm.vsock\n"
    "  annulus device --config devices.textproto\n"
    "  annulus device net --help\n";

constexpr absl::string_view kExitCodes =
    "Exit codes:\n"
    "  0    ended: by SIGTERM, SIGINT or SIGHUP, or the connection that was\n"
    "       given has ended\n"
    "  1    the host refused something; so also at the end, if a device lost\n"
    "       its socket meanwhile, while others went on\n"
    "  2    a flag, the configuration or what it names is wrong\n";

bool Contains(Arguments list, absl::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

int Fail(absl::string_view line, ExitCode code) {
  PrintError(line);
  return static_cast<int>(code);
}

// SIGINT, SIGTERM and SIGHUP as a descriptor, from now on and for all threads
// that are started later.
class StopSignals {
 public:
  static absl::StatusOr<StopSignals> Create() {
    StopSignals signals;
    sigset_t blocked = signals.set_;
    // Sockets and pipes say so by themselves.
    sigaddset(&blocked, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    signals.fd_.reset(
        ::signalfd(-1, &signals.set_, SFD_CLOEXEC | SFD_NONBLOCK));
    if (signals.fd_.valid()) return signals;
    return absl::ErrnoToStatus(errno, "creating a signalfd");
  }

  int fd() const { return fd_.get(); }

  // Takes the first; another one then ends the process as ever.
  void Take() {
    signalfd_siginfo info;
    [[maybe_unused]] const ssize_t size =
        ::read(fd_.get(), &info, sizeof(info));
    ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

 private:
  StopSignals() = default;

  sigset_t set_ = StopSignalSet();
  UniqueFd fd_;
};

// Each of their threads is in the sandbox, if there is one, before a front-end
// can reach it.
absl::StatusOr<std::unique_ptr<StandaloneDevices>> CreateDevices(
    const DevicesConfig& config, std::vector<DeviceResources> resources,
    Sandbox* sandbox, LogSink& log) {
  const ScopedThreadSetup setup(sandbox);
  return StandaloneDevices::Create(config, std::move(resources), log);
}

// `explain` makes a line for the user of an error of the library. `jail` may be
// null.
template <typename Explain>
int Serve(const DevicesConfig& config, const DeviceFlags& flags,
          const JailOptions* jail, const Explain& explain) {
  StderrLog log(LeastSeverity(flags));
  const auto fail = [&explain](const absl::Status& status) {
    // What could not be opened, or is not what it should be, has its field.
    return Fail(explain(status.message()),
                absl::StartsWith(status.message(), "device[")
                    ? ExitCode::kUsage
                    : ExitCode::kHostError);
  };
  if (const auto limit = RaiseFileLimit(); !limit.ok()) {
    log.Log(LogSeverity::kWarning, limit.status().message());
  }
  if (jail != nullptr) {
    const absl::Status fits = CheckJailConfig(config);
    if (!fits.ok()) return fail(fits);
  }
  // Before sockets are made, whose files are removed at the end.
  absl::StatusOr<StopSignals> signals = StopSignals::Create();
  if (!signals.ok()) return fail(signals.status());
  const absl::Status guarded = memory::HandleBusErrors();
  if (!guarded.ok()) return fail(guarded);
  absl::StatusOr<std::vector<DeviceResources>> resources =
      OpenDeviceResources(config);
  if (!resources.ok()) return fail(resources.status());
  const absl::StatusOr<LockedProcess> process =
      EnterJailAndSandbox(jail, flags.sandbox, LandlockNeeds(config), log);
  if (!process.ok()) return fail(process.status());
  if (process->exit_code.has_value()) return *process->exit_code;
  Sandbox* const sandbox = process->sandbox.get();
  absl::StatusOr<std::unique_ptr<StandaloneDevices>> devices =
      CreateDevices(config, *std::move(resources), sandbox, log);
  if (!devices.ok()) return fail(devices.status());
  const absl::Status locked = EnterMainThread(sandbox);
  if (!locked.ok()) return fail(locked);
  const auto end = (*devices)->Wait(signals->fd());
  if (end == StandaloneDevices::End::kStopRequested) signals->Take();
  (*devices)->Stop();
  // It was said when it happened.
  return static_cast<int>((*devices)->failure().ok() ? ExitCode::kSuccess
                                                     : ExitCode::kHostError);
}

int ServeFile(const DeviceFlags& flags, const JailOptions* jail) {
  const std::string& path = *flags.config_file;
  const absl::StatusOr<DevicesConfig> config = ReadDevicesFile(path);
  if (!config.ok()) return Fail(config.status().message(), ExitCode::kUsage);
  const auto explain = [&path](absl::string_view message) {
    return absl::StrCat(ConfigFileName(path), ": ", message);
  };
  const absl::Status valid = ValidateDevicesConfig(*config);
  if (!valid.ok()) return Fail(explain(valid.message()), ExitCode::kUsage);
  return Serve(*config, flags, jail, explain);
}

int PrintDescriptor(absl::string_view kind, absl::string_view command,
                    absl::string_view binary) {
  const absl::StatusOr<std::string> text = DeviceDescriptor(kind, binary);
  if (text.ok()) return PrintOutput(*text);
  return UsageError(
      command, absl::StrCat("--print-descriptor: ", text.status().message()));
}

int KindCommand(absl::string_view kind, Arguments arguments,
                const JailOptions* jail) {
  // Other options need not even be right.
  if (Contains(arguments, "--print-capabilities")) {
    return PrintOutput(DeviceCapabilities(kind));
  }
  const std::string command = absl::StrCat("device ", kind);
  const std::string usage = absl::StrCat("annulus ", command, " [FLAGS]");
  DeviceFlags values;
  FlagSet flags(usage, kDescription);
  AddDeviceFlags(kind, values, flags);
  flags.AddHelpSection(kind == "net"     ? kNetExamples
                       : kind == "vsock" ? kVsockExamples
                                         : kRngExamples);
  flags.AddHelpSection(kExitCodes);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError(command, positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    return UsageError(command,
                      absl::StrCat("unexpected argument \"",
                                   ConfigFileName(positional->front()), "\""));
  }
  if (!values.descriptor_binary.empty()) {
    return PrintDescriptor(kind, command, values.descriptor_binary);
  }
  const absl::StatusOr<DevicesConfig> config = DeviceOfFlags(kind, values);
  if (!config.ok()) return UsageError(command, config.status().message());
  return Serve(*config, values, jail, &FieldToFlag);
}

int Device(Arguments arguments, const JailOptions* jail) {
  if (!arguments.empty() && Contains(kKinds, arguments[0])) {
    return KindCommand(arguments[0], arguments.subspan(1), jail);
  }
  DeviceFlags values;
  FlagSet flags(
      "annulus device net|vsock|rng [FLAGS]\n"
      "       annulus device --config FILE [FLAGS]",
      kDescription);
  AddDeviceFlags("", values, flags);
  flags.AddHelpSection(kExamples);
  flags.AddHelpSection(kExitCodes);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("device", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    return UsageError("device",
                      absl::StrCat("\"", ConfigFileName(positional->front()),
                                   "\" is not net, vsock or rng"));
  }
  if (!values.config_file.has_value()) {
    return UsageError("device", "which device? net, vsock or rng, or --config");
  }
  return ServeFile(values, jail);
}

}  // namespace

int DeviceCommand(Arguments arguments) { return Device(arguments, nullptr); }

int DeviceCommandInJail(Arguments arguments, const JailOptions& jail) {
  return Device(arguments, &jail);
}

absl::string_view DeviceKindOfProgram(absl::string_view program) {
  absl::string_view name = program.substr(program.rfind('/') + 1);
  if (!absl::ConsumePrefix(&name, "annulus-device-")) return {};
  return Contains(kKinds, name) ? name : absl::string_view();
}

}  // namespace annulus::cli
