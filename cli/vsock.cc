#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/log.h"
#include "cli/vsock_dial.h"
#include "cli/vsock_listen.h"
#include "cli/vsock_relay.h"
#include "devices/virtio/vsock/backend/port_line.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kHelp =
    "Usage: annulus vsock connect [FLAGS] PATH PORT\n"
    "       annulus vsock listen [FLAGS] PATH PORT\n"
    "\n"
    "Sockets between this host and a virtual machine that was started with\n"
    "--vsock cid=3,socket=PATH: standard input goes there, what comes is\n"
    "standard output.\n"
    "\n"
    "  connect  to a program that listens on PORT in the guest\n"
    "  listen   for a program of the guest that connects to PORT of the host,\n"
    "           which is CID 2\n"
    "\n"
    "See annulus vsock connect --help and annulus vsock listen --help.\n"
    "\n"
    "Examples:\n"
    "  a shell of the guest, which has socat\n"
    "    guest$ socat VSOCK-LISTEN:1024,fork EXEC:/bin/sh,stderr\n"
    "    host$  annulus vsock connect /run/vm.vsock 1024\n"
    "  a file from the guest\n"
    "    host$  annulus vsock listen /run/vm.vsock 2000 > copy\n"
    "    guest$ socat -u OPEN:file VSOCK-CONNECT:2:2000\n"
    "\n"
    "Exit codes: 0 both directions came to their end, 1 they did not, or\n"
    "nobody was there, 2 a flag or an argument is wrong.\n";

constexpr absl::string_view kConnectDescription =
    "Connects to a program that listens on PORT in the guest of the virtual\n"
    "machine whose socket is PATH. Sends it standard input, whose end it is\n"
    "told; writes what comes to standard output until that ends.";

constexpr absl::string_view kConnectExamples =
    "Examples:\n"
    "  annulus vsock connect /run/vm.vsock 1024\n"
    "  echo status | annulus vsock connect /run/vm.vsock 1024\n"
    "  annulus vsock connect --timeout 30s /run/vm.vsock 1024 < request\n"
    "  ssh -o ProxyCommand='annulus vsock connect /run/vm.vsock 22' vm\n"
    "\n"
    "Any program can do the same: connect to PATH, write \"CONNECT 1024\\n\",\n"
    "read a line, \"OK <port>\\n\"; end of file is nobody.\n";

constexpr absl::string_view kListenDescription =
    "Listens for a program of the guest that connects to PORT of the host "
    "(CID\n"
    "2), of the virtual machine whose socket is PATH; it need not run yet. "
    "The\n"
    "first that comes gets standard input, and what it sends is written to\n"
    "standard output, until both end.";

constexpr absl::string_view kListenExamples =
    "Examples:\n"
    "  annulus vsock listen /run/vm.vsock 2000 > file\n"
    "  annulus vsock listen --keep /run/vm.vsock 514 >> guest.log\n"
    "  annulus vsock listen --seqpacket --timeout 1m /run/vm.vsock 9 "
    "< /dev/null\n"
    "\n"
    "Any program can do the same: listen at the unix socket PATH_PORT.\n";

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 both directions came to their end, 1 they did not, or\n"
    "nobody was there, 2 a flag or an argument is wrong.\n";

constexpr absl::string_view kSeqpacketHelp =
    "A socket of messages (SOCK_SEQPACKET): each read of standard input, of\n"
    "at most 64 KiB, becomes a message, and each that comes is written as it\n"
    "is. Default: a stream.";

// What both subcommands take.
struct VsockArguments {
  std::string path;
  uint32_t port = 0;
  bool seqpacket = false;
  bool keep = false;
  absl::Duration timeout;
};

absl::Status ParseTimeout(absl::string_view text, absl::Duration& timeout) {
  if (!absl::ParseDuration(text, &timeout) || timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", absl::CHexEscape(text), "\" is no time like 500ms, 30s or 2m"));
  }
  return absl::OkStatus();
}

absl::Status ParsePositional(const std::vector<std::string>& positional,
                             VsockArguments& arguments) {
  if (positional.size() != 2) {
    return absl::InvalidArgumentError("needs a PATH and a PORT");
  }
  const std::optional<uint32_t> port = virtio::ParsePortNumber(positional[1]);
  if (!port.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("PORT \"", absl::CHexEscape(positional[1]),
                     "\" is not a number from 0 to 4294967295"));
  }
  arguments.path = positional[0];
  arguments.port = *port;
  return absl::OkStatus();
}

// The exit code, if there is nothing more to do.
std::optional<int> Parse(FlagSet& flags, absl::string_view command,
                         Arguments arguments, VsockArguments& parsed) {
  flags.AddSwitch("seqpacket", 0, kSeqpacketHelp,
                  [&parsed](bool on) { parsed.seqpacket = on; });
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError(command, positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  const absl::Status status = ParsePositional(*positional, parsed);
  if (!status.ok()) return UsageError(command, status.message());
  return std::nullopt;
}

int Fail(absl::string_view command, const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    return UsageError(command, status.message());
  }
  PrintError(status.message());
  return static_cast<int>(ExitCode::kHostError);
}

int ConnectCommand(Arguments arguments) {
  constexpr absl::string_view kCommand = "vsock connect";
  VsockArguments parsed;
  FlagSet flags("annulus vsock connect [FLAGS] PATH PORT", kConnectDescription);
  flags.AddValue(
      "timeout", "TIME",
      "Tries for so long (500ms, 30s, 2m) until there is the socket\n"
      "and somebody listens in the guest: useful while it boots.\n"
      "Default: tries once; the virtual machine itself waits for\n"
      "the guest a while (its connect_wait_ms).",
      [&parsed](absl::string_view text) {
        return ParseTimeout(text, parsed.timeout);
      });
  flags.AddHelpSection(kConnectExamples);
  flags.AddHelpSection(kExitCodes);
  const std::optional<int> done = Parse(flags, kCommand, arguments, parsed);
  if (done.has_value()) return *done;
  const absl::StatusOr<UniqueFd> socket =
      DialGuest({parsed.path, parsed.port, parsed.seqpacket, parsed.timeout});
  if (!socket.ok()) return Fail(kCommand, socket.status());
  RelayEnds ends;
  ends.socket = socket->get();
  ends.input = STDIN_FILENO;
  ends.output = STDOUT_FILENO;
  ends.messages = parsed.seqpacket;
  ends.close_output = true;
  const RelayResult result = Relay(ends);
  if (!result.status.ok()) return Fail(kCommand, result.status);
  return static_cast<int>(ExitCode::kSuccess);
}

// With `keep` until something fails.
absl::Status ServeGuests(const VsockArguments& arguments) {
  absl::StatusOr<GuestListener> opened = GuestListener::Open(
      {arguments.path, arguments.port, arguments.seqpacket});
  if (!opened.ok()) return opened.status();
  auto listener = std::make_unique<GuestListener>(*std::move(opened));
  RelayEnds ends;
  ends.input = STDIN_FILENO;
  ends.output = STDOUT_FILENO;
  ends.messages = arguments.seqpacket;
  ends.close_output = !arguments.keep;
  for (;;) {
    const absl::StatusOr<UniqueFd> guest = listener->Accept(arguments.timeout);
    if (!guest.ok()) return guest.status();
    // Further ones are refused and do not wait for nothing.
    if (!arguments.keep) listener.reset();
    ends.socket = guest->get();
    const RelayResult result = Relay(ends);
    if (!arguments.keep || result.output_failed) return result.status;
    if (!result.status.ok()) PrintError(result.status.message());
    if (result.input_ended) ends.input = -1;
  }
}

int ListenCommand(Arguments arguments) {
  constexpr absl::string_view kCommand = "vsock listen";
  VsockArguments parsed;
  FlagSet flags("annulus vsock listen [FLAGS] PATH PORT", kListenDescription);
  flags.AddSwitch(
      "keep", 'k',
      "Goes on with the next that connects when one is done, until\n"
      "it is stopped. Standard input goes to the one at hand.",
      [&parsed](bool on) { parsed.keep = on; });
  flags.AddValue("timeout", "TIME",
                 "Gives up if nobody connects in this time (500ms, 30s, 2m).\n"
                 "Default: waits for ever.",
                 [&parsed](absl::string_view text) {
                   return ParseTimeout(text, parsed.timeout);
                 });
  flags.AddHelpSection(kListenExamples);
  flags.AddHelpSection(kExitCodes);
  const std::optional<int> done = Parse(flags, kCommand, arguments, parsed);
  if (done.has_value()) return *done;
  const absl::Status status = ServeGuests(parsed);
  return status.ok() ? static_cast<int>(ExitCode::kSuccess)
                     : Fail(kCommand, status);
}

}  // namespace

int VsockCommand(Arguments arguments) {
  // Writing to who is gone is an error like any other.
  ::signal(SIGPIPE, SIG_IGN);
  const absl::string_view name = arguments.empty() ? "" : arguments[0];
  if (name == "--help" || name == "-h") return PrintOutput(kHelp);
  if (name == "connect") return ConnectCommand(arguments.subspan(1));
  if (name == "listen") return ListenCommand(arguments.subspan(1));
  if (name.empty()) return UsageError("vsock", "connect or listen?");
  return UsageError("vsock",
                    absl::StrCat("vsock knows no \"", absl::CHexEscape(name),
                                 "\", only connect and listen"));
}

}  // namespace annulus::cli
