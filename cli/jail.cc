// `annulus jail`: `annulus run` or `annulus device` with nothing around it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/flag_set.h"
#include "cli/flag_values.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kUsage =
    "annulus jail [JAIL FLAGS] run [FLAGS]\n"
    "       annulus jail [JAIL FLAGS] device [net|vsock|rng] [FLAGS]";

constexpr absl::string_view kDescription =
    "Starts a virtual machine, or a device for another VMM, in a jail. What "
    "the\n"
    "flags name (kernel, taps, sockets, files for output) is opened first; "
    "then the\n"
    "process goes on with these descriptors and nothing else: as process 1 of "
    "its\n"
    "own, of user nobody, in an empty read-only root, without a network, in\n"
    "namespaces of its own (user, mount, pid, net, ipc, uts, cgroup), without\n"
    "capabilities and core files. The sandbox of `annulus run` comes on top.\n"
    "\n"
    "The process that was started waits outside, passes SIGINT, SIGTERM and "
    "SIGHUP\n"
    "on, and returns the exit code. As root any --user will do; other users "
    "stay\n"
    "who they are, where the host lets them make user namespaces.";

constexpr absl::string_view kHelp =
    "Put the flags of the jail before the word `run` or `device`; a value that "
    "is\n"
    "one of these words is written with an equals sign (--cgroup=run).\n"
    "\n"
    "Not in a jail, since it opens files while the guest runs: sockets of "
    "programs\n"
    "that the guest calls by path (--vsock socket=PATH without host-fd,\n"
    "port-map=to-host:...), a directory of guests (switch=DIR), other "
    "processes that\n"
    "are connected to by path (vhost-user=PATH without listen, device "
    "--connect).\n"
    "Give descriptors instead: host-fd=N, fd=N, vhost-user-fd=N. "
    "docs/sandbox.md\n"
    "says more.\n"
    "\n"
    "The exit code is that of `annulus run`; 128 and the signal's number if "
    "one\n"
    "killed it; 1 if there can be no such jail.\n";

constexpr absl::string_view kExamples =
    "Examples:\n"
    "  annulus jail run --kernel vmlinuz --net tap=tap0 --console file:vm.log\n"
    "  annulus jail --user vm --cgroup /web --memory-max 1200M \\\n"
    "      --cpu-max 150 run --config web.textproto\n"
    "  annulus jail --nofile 256 device net --socket /run/n.sock --backend "
    "tap=tap0\n"
    "\n"
    "What it has, seen from outside (PID is the child of `annulus jail`):\n"
    "  ls /proc/PID/root; ls -l /proc/PID/ns; cat /proc/PID/{status,limits,"
    "cgroup}\n";

// Fields 2 and 3 of the line of `name`: of /etc/passwd its user and group, of
// /etc/group its group and members. (getpwnam(3) is not for a static program.)
absl::StatusOr<uint32_t> LookUp(const char* file, absl::string_view name,
                                std::optional<uint32_t>* second) {
  std::ifstream entries(file);
  for (std::string line; std::getline(entries, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ':');
    uint32_t number = 0;
    if (fields.size() < 4 || fields[0] != name) continue;
    if (!absl::SimpleAtoi(fields[2], &number)) continue;
    uint32_t group = 0;
    if (second != nullptr && absl::SimpleAtoi(fields[3], &group)) {
      *second = group;
    }
    return number;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(name), "\" is not in ", file, ", nor a number"));
}

absl::StatusOr<uint32_t> ParseUser(absl::string_view name,
                                   std::optional<uint32_t>& group) {
  uint32_t number = 0;
  if (absl::SimpleAtoi(name, &number)) return number;
  return LookUp("/etc/passwd", name, &group);
}

absl::StatusOr<uint32_t> ParseGroup(absl::string_view name) {
  uint32_t number = 0;
  if (absl::SimpleAtoi(name, &number)) return number;
  return LookUp("/etc/group", name, nullptr);
}

// "65534", "vm", "vm:kvm".
absl::Status SetUser(absl::string_view text, JailOptions& options) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  ANNULUS_ASSIGN_OR_RETURN(options.user, ParseUser(parts.first, options.group));
  if (parts.second.empty()) return absl::OkStatus();
  ANNULUS_ASSIGN_OR_RETURN(options.group, ParseGroup(parts.second));
  return absl::OkStatus();
}

void AddJailFlags(JailOptions& options, FlagSet& flags) {
  flags.AddValue(
      "user", "USER[:GROUP]",
      "Whose process it is, by name or number. Default: nobody\n"
      "(65534); of who is not root: himself. A number's group is\n"
      "the same number.",
      [&options](absl::string_view text) { return SetUser(text, options); });
  flags.AddSwitch("network", 0,
                  "Leave it the host's network, whose abstract sockets (@) it\n"
                  "could connect to. Default: an empty one.",
                  [&options](bool on) { options.network = on; });
  flags.AddValue("cgroup", "NAME",
                 "Make this group of cgroup v2 for it, and remove it at the\n"
                 "end: with / in front below the hierarchy's root, else below\n"
                 "that of this process, where the kernel allows no limits.\n"
                 "Default: none; where a limit is given, /annulus-PID.",
                 [&options](absl::string_view text) {
                   if (text.empty()) {
                     return absl::InvalidArgumentError("\"\" is not a name");
                   }
                   options.cgroup = std::string(text);
                   return absl::OkStatus();
                 });
  flags.AddValue("memory-max", "SIZE",
                 "What the group may use; the guest's memory and some 32M.",
                 Parsed(options.memory_max, &ParseSize));
  flags.AddValue("cpu-max", "PERCENT", "Of a CPU's time; 200 is two CPUs.",
                 Parsed(options.cpu_percent, &ParseCount));
  flags.AddValue("pids-max", "N", "Threads at the same time.",
                 Parsed(options.pids_max, &ParseCount));
  flags.AddValue("nofile", "N",
                 "Descriptors. Default: the hard limit that there was.",
                 Parsed(options.open_files, &ParseNumber));
  flags.AddValue("fsize", "SIZE",
                 "Of files that it writes: console and pcap. Default: any.",
                 Parsed(options.file_size, &ParseSize));
}

}  // namespace

int JailCommand(Arguments arguments) {
  const auto* const command = std::find_if(
      arguments.begin(), arguments.end(),
      [](absl::string_view word) { return word == "run" || word == "device"; });
  const auto own = static_cast<size_t>(command - arguments.begin());
  JailOptions options;
  FlagSet flags(kUsage, kDescription);
  AddJailFlags(options, flags);
  flags.AddHelpSection(kHelp);
  flags.AddHelpSection(kExamples);
  const auto positional = flags.Parse(arguments.first(own));
  if (!positional.ok()) {
    return UsageError("jail", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty() || command == arguments.end()) {
    return UsageError("jail", "what is to be in it? run or device");
  }
  const Arguments rest = arguments.subspan(own + 1);
  return *command == "run" ? RunCommandInJail(rest, options)
                           : DeviceCommandInJail(rest, options);
}

}  // namespace annulus::cli
