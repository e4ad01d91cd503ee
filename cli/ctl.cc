#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/control_text.h"
#include "cli/exit_codes.h"
#include "cli/log.h"
#include "cli/prometheus.h"
#include "google/protobuf/util/json_util.h"
#include "proto/control.pb.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kDescription =
    "Asks a virtual machine that was started with --control SOCK:\n"
    "\n"
    "  status           what it is and what it does\n"
    "  pause, resume    its virtual processors; devices stay live\n"
    "  stop             ends it, and waits for that: at once, or with\n"
    "                   --graceful by its power button and, if it is still\n"
    "                   there then, by force\n"
    "  link CARD up|down\n"
    "                   plugs the cable of a network card in, or pulls it:\n"
    "                   CARD is 0 or net0, in the order of the configuration\n"
    "  metrics          all counters, in the text format of Prometheus\n"
    "  events           one line for each event, until the machine ends";

constexpr absl::string_view kExamples =
    "Examples:\n"
    "  annulus run --kernel vmlinuz --initrd initrd.img --control /run/vm.ctl\n"
    "  annulus ctl /run/vm.ctl status\n"
    "  annulus ctl /run/vm.ctl stop --graceful 30\n"
    "  annulus ctl /run/vm.ctl link net0 down\n"
    "  annulus ctl /run/vm.ctl metrics > /var/lib/node_exporter/vm.prom\n"
    "  annulus ctl /run/vm.ctl events --json | jq -r .event.kind\n"
    "\n"
    "docs/control.md has the messages, for programs of your own.\n";

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 done, 1 nobody is there or the machine refused, 2 a flag\n"
    "or an argument is wrong.\n";

struct CtlArguments {
  std::string socket;
  std::vector<std::string> command;
  bool json = false;
  uint32_t graceful_ms = 0;
  absl::Duration timeout = absl::Seconds(10);
};

int PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  // Fails for no message of ours but one whose text is not UTF-8.
  if (!google::protobuf::util::MessageToJsonString(message, &text, options)
           .ok()) {
    PrintError("what came cannot be printed as JSON");
    return static_cast<int>(ExitCode::kHostError);
  }
  return PrintOutput(absl::StrCat(text, "\n"));
}

class Ctl {
 public:
  Ctl(const CtlArguments& arguments, ControlClient client)
      : arguments_(arguments), client_(std::move(client)) {}

  absl::StatusOr<int> Run(const proto::ControlRequest& request) {
    switch (request.command_case()) {
      case proto::ControlRequest::kStatus:
        return Status(request);
      case proto::ControlRequest::kCounters:
        return Metrics(request);
      case proto::ControlRequest::kEvents:
        return Events(request);
      case proto::ControlRequest::kStop:
        return Stop(request);
      default:
        ANNULUS_RETURN_IF_ERROR(
            client_.Call(request, arguments_.timeout).status());
        return 0;
    }
  }

 private:
  absl::StatusOr<int> Status(const proto::ControlRequest& request) {
    ANNULUS_ASSIGN_OR_RETURN(const proto::ControlReply reply,
                             client_.Call(request, arguments_.timeout));
    if (arguments_.json) return PrintJson(reply.status());
    return PrintOutput(StatusText(reply.status()));
  }

  absl::StatusOr<int> Metrics(const proto::ControlRequest& request) {
    ANNULUS_ASSIGN_OR_RETURN(const proto::ControlReply counters,
                             client_.Call(request, arguments_.timeout));
    if (arguments_.json) return PrintJson(counters.counters());
    proto::ControlRequest status;
    status.mutable_status();
    ANNULUS_ASSIGN_OR_RETURN(const proto::ControlReply reply,
                             client_.Call(status, arguments_.timeout));
    return PrintOutput(PrometheusText(reply.status(), counters.counters()));
  }

  absl::StatusOr<int> Events(const proto::ControlRequest& request) {
    ANNULUS_RETURN_IF_ERROR(client_.Call(request, arguments_.timeout).status());
    for (;;) {
      ANNULUS_ASSIGN_OR_RETURN(const std::optional<proto::ControlReply> reply,
                               client_.Receive(absl::InfiniteDuration()));
      if (!reply.has_value()) return 0;
      const int printed = arguments_.json
                              ? PrintJson(*reply)
                              : PrintOutput(EventLine(reply->event()));
      if (printed != 0) return printed;
    }
  }

  // Waits for the end, and says which it was.
  absl::StatusOr<int> Stop(const proto::ControlRequest& request) {
    proto::ControlRequest events;
    events.mutable_events();
    ANNULUS_RETURN_IF_ERROR(client_.Call(events, arguments_.timeout).status());
    ANNULUS_RETURN_IF_ERROR(client_.Send(request));
    const absl::Time end = absl::Now() + arguments_.timeout +
                           absl::Milliseconds(arguments_.graceful_ms);
    for (;;) {
      ANNULUS_ASSIGN_OR_RETURN(const std::optional<proto::ControlReply> reply,
                               client_.Receive(end - absl::Now()));
      if (!reply.has_value()) return 0;
      ANNULUS_RETURN_IF_ERROR(StatusOf(*reply));
      if (reply->event().kind() != proto::ControlEvent::STOPPED) continue;
      if (arguments_.json) return PrintJson(reply->event());
      return PrintOutput(absl::StrCat(ExitText(reply->event()), "\n"));
    }
  }

  const CtlArguments& arguments_;
  ControlClient client_;
};

absl::Status ParseLink(const std::vector<std::string>& command,
                       proto::LinkCommand& link) {
  if (command.size() != 3) {
    return absl::InvalidArgumentError("link needs a CARD, and up or down");
  }
  absl::string_view card = command[1];
  absl::ConsumePrefix(&card, "net");
  uint32_t index = 0;
  if (!absl::SimpleAtoi(card, &index)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(command[1]),
                     "\" is no card: it is 0 or net0, and so on"));
  }
  if (command[2] != "up" && command[2] != "down") {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", absl::CHexEscape(command[2]), "\" is neither up nor down"));
  }
  link.set_card(index);
  link.set_up(command[2] == "up");
  return absl::OkStatus();
}

absl::StatusOr<proto::ControlRequest> ParseCommand(
    const CtlArguments& arguments) {
  const std::vector<std::string>& command = arguments.command;
  if (command.empty()) {
    return absl::InvalidArgumentError("needs a socket and a command");
  }
  const std::string& name = command[0];
  proto::ControlRequest request;
  if (name == "status") {
    request.mutable_status();
  } else if (name == "pause") {
    request.mutable_pause();
  } else if (name == "resume") {
    request.mutable_resume();
  } else if (name == "stop") {
    request.mutable_stop()->set_graceful_ms(arguments.graceful_ms);
  } else if (name == "metrics") {
    request.mutable_counters();
  } else if (name == "events") {
    request.mutable_events();
  } else if (name == "link") {
    ANNULUS_RETURN_IF_ERROR(ParseLink(command, *request.mutable_link()));
    return request;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(name),
                     "\" is not status, pause, resume, stop, link, metrics or "
                     "events"));
  }
  if (command.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unexpected argument \"", absl::CHexEscape(command[1]), "\""));
  }
  if (arguments.graceful_ms != 0 && name != "stop") {
    return absl::InvalidArgumentError("--graceful is for stop alone");
  }
  return request;
}

absl::Status ParseSeconds(absl::string_view text, double least,
                          absl::Duration& duration) {
  constexpr double kMost = 1e6;
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !(seconds >= least) ||
      seconds > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(text),
                     "\" is no number of seconds from ", least, " to 1000000"));
  }
  duration = absl::Seconds(seconds);
  return absl::OkStatus();
}

}  // namespace

int CtlCommand(Arguments arguments) {
  constexpr double kLeastSeconds = 0.001;
  CtlArguments parsed;
  FlagSet flags("annulus ctl [FLAGS] SOCK COMMAND [ARGUMENTS]", kDescription);
  flags.AddValue(
      "graceful", "SECONDS",
      "stop: presses the power button, and gives the guest so long\n"
      "to power off by itself.",
      [&parsed](absl::string_view text) {
        absl::Duration graceful;
        absl::Status status = ParseSeconds(text, kLeastSeconds, graceful);
        parsed.graceful_ms =
            static_cast<uint32_t>(absl::ToInt64Milliseconds(graceful));
        return status;
      });
  flags.AddValue("timeout", "SECONDS",
                 "How long the machine may take to answer. Default: 10.",
                 [&parsed](absl::string_view text) {
                   return ParseSeconds(text, kLeastSeconds, parsed.timeout);
                 });
  flags.AddSwitch("json", 0,
                  "status, metrics, events and stop: print JSON, one object a\n"
                  "line, with the fields of proto/control.proto.",
                  [&parsed](bool on) { parsed.json = on; });
  flags.AddHelpSection(kExamples);
  flags.AddHelpSection(kExitCodes);
  absl::StatusOr<std::vector<std::string>> positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("ctl", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    parsed.socket = positional->front();
    parsed.command.assign(positional->begin() + 1, positional->end());
  }
  const absl::StatusOr<proto::ControlRequest> request = ParseCommand(parsed);
  if (!request.ok()) return UsageError("ctl", request.status().message());
  const auto fail = [&parsed](const absl::Status& status) {
    PrintError(
        absl::StrCat(absl::CHexEscape(parsed.socket), ": ", status.message()));
    return static_cast<int>(ExitCode::kHostError);
  };
  absl::StatusOr<ControlClient> client =
      ControlClient::Connect(parsed.socket, parsed.timeout);
  if (!client.ok()) {
    PrintError(client.status().message());
    return static_cast<int>(ExitCode::kHostError);
  }
  const absl::StatusOr<int> code =
      Ctl(parsed, *std::move(client)).Run(*request);
  return code.ok() ? *code : fail(code.status());
}

}  // namespace annulus::cli
