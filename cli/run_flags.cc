#include "cli/run_flags.h"

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "cli/net_flag.h"
#include "cli/rng_flag.h"
#include "cli/vsock_flag.h"

namespace annulus::cli {
namespace {

using Setter = std::function<absl::Status(absl::string_view)>;

Setter Text(std::optional<std::string>& target) {
  return [&target](absl::string_view value) {
    target = std::string(value);
    return absl::OkStatus();
  };
}

void AddMachineFlags(RunFlags& values, FlagSet& flags) {
  flags.AddValue("cpus", "N", "Virtual processors, 1 to 32. Default: 1.",
                 Parsed(values.cpus, &ParseCount));
  flags.AddValue("pin", "LIST",
                 "Host CPU for each virtual processor: --cpus 2 --pin 4,5.",
                 Parsed(values.pinning, &ParseCpuList));
  flags.AddValue("memory", "SIZE",
                 "Guest RAM, with suffix K, M, G or T, or in bytes.\n"
                 "16M to 1T. Default: 512M.",
                 Parsed(values.memory_bytes, &ParseSize));
  flags.AddSwitch("hugepages", 0,
                  "Take 2 MiB pages from the host's pool, see annulus doctor.",
                  [&values](bool on) { values.hugepages = on; });
  flags.AddSwitch("prefault", 0, "Take all memory from the host at the start.",
                  [&values](bool on) { values.prefault = on; });
  flags.AddSwitch("shared-memory", 0,
                  "Back memory by a memfd that others can map.",
                  [&values](bool on) { values.shared_memory = on; });
}

void AddDeviceFlags(RunFlags& values, FlagSet& flags) {
  flags.AddValue("console", "WHERE",
                 "The guest's serial port: stdio (default), null, file:PATH.",
                 Parsed(values.console, &ParseConsole));
  flags.AddValue("rng", kRngValueName, kRngHelp,
                 [&values](absl::string_view value) {
                   absl::StatusOr<RngConfig> rng = ParseRng(value);
                   if (!rng.ok()) return rng.status();
                   values.rng.push_back(*std::move(rng));
                   return absl::OkStatus();
                 });
  flags.AddValue("net", kNetValueName, kNetHelp,
                 [&values](absl::string_view value) {
                   absl::StatusOr<NetConfig> net = ParseNet(value);
                   if (!net.ok()) return net.status();
                   values.net.push_back(*std::move(net));
                   return absl::OkStatus();
                 });
  flags.AddValue("vsock", kVsockValueName, kVsockHelp,
                 Parsed(values.vsock, &ParseVsock));
  flags.AddValue("control", "PATH",
                 "Makes the control socket, for annulus ctl, which only this\n"
                 "user and root may use. Default: none.",
                 Text(values.control));
  flags.AddSwitch("debug-exit", 0,
                  "Give the guest I/O port 0xf4, where a write ends the\n"
                  "machine: for tests.",
                  [&values](bool on) { values.debug_exit = on; });
}

}  // namespace

void AddRunFlags(RunFlags& values, FlagSet& flags) {
  flags.AddValue("config", "FILE",
                 "Configuration (.json: JSON, else text format; - is standard\n"
                 "input). Other flags override it.",
                 Text(values.config_file));
  flags.AddValue("kernel", "FILE", "bzImage (vmlinuz) or ELF64 (vmlinux).",
                 Text(values.kernel));
  flags.AddValue("initrd", "FILE", "Initial RAM disk. Default: none.",
                 Text(values.initrd));
  flags.AddValue("cmdline", "STRING",
                 "Kernel command line. Default:\n"
                 "console=ttyS0 reboot=k panic=-1 i8042.noaux i8042.nomux\n"
                 "i8042.dumbkbd",
                 Text(values.cmdline));
  AddMachineFlags(values, flags);
  AddDeviceFlags(values, flags);
  flags.AddValue("name", "NAME",
                 "Names threads, guest RAM and log lines. Default: annulus.",
                 Text(values.name));
  AddSandboxFlag(values.sandbox, flags);
  flags.AddSwitch("timings", 0, "At the end, print how long the start took.",
                  [&values](bool on) { values.timings = on; });
  flags.AddSwitch("quiet", 'q',
                  "Do not say why the guest ended, and log errors only.",
                  [&values](bool on) { values.quiet = on; });
  flags.AddSwitch("verbose", 'v', "Log everything.",
                  [&values](bool on) { values.verbose = on; });
}

void ApplyRunFlags(const RunFlags& values, VmConfig& config) {
  const auto apply = [](const auto& value, auto& target) {
    if (value.has_value()) target = *value;
  };
  apply(values.name, config.name);
  apply(values.kernel, config.boot.kernel);
  apply(values.initrd, config.boot.initrd);
  if (config.boot.cmdline.empty()) config.boot.cmdline = kDefaultCmdline;
  apply(values.cmdline, config.boot.cmdline);
  apply(values.cpus, config.cpu.count);
  apply(values.pinning, config.cpu.pinning);
  apply(values.memory_bytes, config.memory.size_bytes);
  apply(values.hugepages, config.memory.hugepages);
  apply(values.prefault, config.memory.prefault);
  apply(values.shared_memory, config.memory.shared);
  apply(values.console, config.console);
  apply(values.debug_exit, config.debug_exit);
  if (values.control.has_value()) {
    config.control.socket = *values.control;
    config.control.fd = 0;
  }
  if (!values.rng.empty()) config.rng = values.rng;
  if (!values.net.empty()) config.net = values.net;
  if (values.vsock.has_value()) config.vsock = values.vsock;
}

LogSeverity LeastSeverity(const RunFlags& values) {
  if (values.verbose) return LogSeverity::kDebug;
  return values.quiet ? LogSeverity::kError : LogSeverity::kWarning;
}

}  // namespace annulus::cli
