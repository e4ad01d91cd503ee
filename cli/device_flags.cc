#include "cli/device_flags.h"

#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "cli/net_flag.h"
#include "cli/rng_flag.h"
#include "cli/vsock_flag.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

using Setter = std::function<absl::Status(absl::string_view)>;

constexpr absl::string_view kNetBackendHelp =
    "What is on the other end of the cable: what annulus run --net\n"
    "takes (see annulus run --help and docs/networking.md), without\n"
    "pci and mmio: tap=NAME, fd=N, passt=SOCKET, switch=NAME, loopback\n"
    "or null, followed by any of the options there. Must be given.";

constexpr absl::string_view kVsockBackendHelp =
    "The socket device: what annulus run --vsock takes (see annulus run\n"
    "--help and docs/vsock.md), without pci and mmio. Must be given.";

constexpr absl::string_view kRngBackendHelp =
    "Options, with commas between: what it does not offer (packed=off,\n"
    "event_idx=off, indirect_desc=off, in_order=off), and poll=, poll_us=\n"
    "and cpus= as of annulus run --rng. Default: none.";

Setter Text(std::string& target) {
  return [&target](absl::string_view value) {
    if (value.empty()) return NotA(value, "a value");
    target = std::string(value);
    return absl::OkStatus();
  };
}

// Words that tell how a machine of ours attaches a device.
absl::Status RefuseTransports(absl::string_view spec) {
  for (const absl::string_view word : absl::StrSplit(spec, ',')) {
    if (word == "pci" || word == "mmio") {
      return NotA(word, "possible: the transport is the front-end's");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RngConfig> ParseRngBackend(absl::string_view spec) {
  // Behind a transport, of which nothing is made.
  return ParseRng(absl::StrCat("pci,", spec));
}

template <typename Config>
Setter Backend(DeviceFlags& values,
               absl::StatusOr<Config> (*parse)(absl::string_view)) {
  return [&values, parse](absl::string_view spec) {
    ANNULUS_RETURN_IF_ERROR(RefuseTransports(spec));
    absl::StatusOr<Config> config = parse(spec);
    if (!config.ok()) return config.status();
    values.device.kind = *std::move(config);
    values.has_backend = true;
    return absl::OkStatus();
  };
}

void AddEndpointFlags(DeviceFlags& values, FlagSet& flags) {
  DeviceConfig& device = values.device;
  flags.AddValue("socket", "PATH",
                 "Make this unix socket and wait there for front-ends, one\n"
                 "after the other. Give this, --fd or --connect.",
                 Text(device.socket));
  flags.AddValue("socket-path", "PATH", "The same.", Text(device.socket));
  flags.AddValue("fd", "N",
                 "An inherited unix stream socket: one that listens, or one\n"
                 "that is connected, whose end ends the program.",
                 [&device](absl::string_view value) {
                   ANNULUS_ASSIGN_OR_RETURN(device.fd, ParseCount(value));
                   if (device.fd != 0) return absl::OkStatus();
                   return NotA(value, "a descriptor from 3 on");
                 });
  flags.AddValue("connect", "PATH",
                 "Connect to a front-end that listens there, again whenever\n"
                 "the connection has ended.",
                 Text(device.connect));
}

void AddKindFlags(absl::string_view kind, DeviceFlags& values, FlagSet& flags) {
  if (kind == "net") {
    flags.AddValue("backend", "BACKEND[,...]", kNetBackendHelp,
                   Backend(values, &ParseNet));
    flags.AddValue("queues", "N",
                   "Queue pairs, 1 to 16, as queues=N of the backend.",
                   [&values](absl::string_view value) {
                     ANNULUS_ASSIGN_OR_RETURN(values.queues, ParseCount(value));
                     return absl::OkStatus();
                   });
  } else if (kind == "vsock") {
    flags.AddValue("backend", kVsockValueName, kVsockBackendHelp,
                   Backend(values, &ParseVsock));
  } else {
    flags.AddValue("backend", "OPTION[,...]", kRngBackendHelp,
                   Backend(values, &ParseRngBackend));
  }
}

// Those that all commands of devices have.
void AddProcessFlags(DeviceFlags& values, FlagSet& flags) {
  AddSandboxFlag(values.sandbox, flags);
  flags.AddSwitch("quiet", 'q', "Log errors only.",
                  [&values](bool on) { values.quiet = on; });
  flags.AddSwitch("verbose", 'v',
                  "Log everything: front-ends that come and go, and at the\n"
                  "end what each queue did.",
                  [&values](bool on) { values.verbose = on; });
}

// "net.tap" of "device[0].net.tap".
constexpr absl::string_view kDevice = "device[0].";

}  // namespace

void AddDeviceFlags(absl::string_view kind, DeviceFlags& values,
                    FlagSet& flags) {
  if (kind.empty()) {
    flags.AddValue("config", "FILE",
                   "Devices, any number and of any kind (.json: JSON, else\n"
                   "text format; - is standard input); see\n"
                   "docs/configuration.md, and annulus check --devices.",
                   [&values](absl::string_view value) {
                     values.config_file = std::string(value);
                     return absl::OkStatus();
                   });
    AddProcessFlags(values, flags);
    return;
  }
  AddEndpointFlags(values, flags);
  AddKindFlags(kind, values, flags);
  flags.AddValue("state-file", "FILE",
                 "Keep there which buffers are in use, so that this program\n"
                 "can be killed and started again under a front-end that\n"
                 "does not keep it (QEMU for network cards, DPDK).",
                 Text(values.device.state_file));
  flags.AddValue("name", "NAME",
                 "Names threads and log lines. Default: kind and number.",
                 Text(values.device.name));
  AddProcessFlags(values, flags);
  flags.AddSwitch("print-capabilities", 0,
                  "Say to management software what this is, in JSON, and do\n"
                  "nothing else.",
                  // Looked for before the others are parsed.
                  [](bool) {});
  flags.AddValue("print-descriptor", "PATH",
                 "Print the file that tells management software of this\n"
                 "program as it is installed at PATH, for\n"
                 "/usr/share/qemu/vhost-user, and do nothing else.",
                 Text(values.descriptor_binary));
}

absl::StatusOr<DevicesConfig> DeviceOfFlags(absl::string_view kind,
                                            const DeviceFlags& values) {
  if (!values.has_backend && kind != "rng") {
    return absl::InvalidArgumentError("--backend: is not given");
  }
  DevicesConfig config;
  DeviceConfig& device = config.device.emplace_back(values.device);
  if (kind == "rng" && !values.has_backend) device.kind.emplace<RngConfig>();
  if (values.queues.has_value()) {
    std::get<NetConfig>(device.kind).queue_pairs = *values.queues;
  }
  const int endpoints = (device.socket.empty() ? 0 : 1) +
                        (device.connect.empty() ? 0 : 1) +
                        (device.fd == 0 ? 0 : 1);
  if (endpoints != 1) {
    return absl::InvalidArgumentError(
        "give one of --socket PATH, --fd N and --connect PATH");
  }
  const absl::Status valid = ValidateDevicesConfig(config);
  if (valid.ok()) return config;
  return absl::InvalidArgumentError(FieldToFlag(valid.message()));
}

std::string FieldToFlag(absl::string_view message) {
  if (!absl::ConsumePrefix(&message, kDevice)) return std::string(message);
  const struct {
    absl::string_view field;
    absl::string_view flag;
  } kFlags[] = {
      {"socket: ", "--socket: "}, {"connect: ", "--connect: "},
      {"fd: ", "--fd: "},         {"state_file: ", "--state-file: "},
      {"name: ", "--name: "},     {"net.queue_pairs: ", "--queues: "},
      {"net.", "--backend: "},    {"vsock.", "--backend: "},
      {"vsock: ", "--backend: "}, {"rng.", "--backend: "},
  };
  for (const auto& part : kFlags) {
    if (absl::ConsumePrefix(&message, part.field)) {
      return absl::StrCat(part.flag, message);
    }
  }
  return std::string(message);
}

LogSeverity LeastSeverity(const DeviceFlags& values) {
  if (values.verbose) return LogSeverity::kDebug;
  return values.quiet ? LogSeverity::kError : LogSeverity::kWarning;
}

}  // namespace annulus::cli
