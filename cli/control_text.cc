#include "cli/control_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace annulus::cli {
namespace {

std::string KindText(const proto::ControlEvent& event) {
  switch (event.kind()) {
    case proto::ControlEvent::STARTED:
      return "started";
    case proto::ControlEvent::PAUSED:
      return "paused";
    case proto::ControlEvent::RESUMED:
      return "resumed";
    case proto::ControlEvent::DRIVER_READY:
      return "driver ready";
    case proto::ControlEvent::DEVICE_RESET:
      return "reset";
    case proto::ControlEvent::QUEUE_BROKEN:
      return absl::StrCat("queue ", event.queue(), " broken");
    case proto::ControlEvent::LINK_CHANGED:
      return event.link_up() ? "link up" : "link down";
    case proto::ControlEvent::STOPPED:
      return absl::StrCat("stopped: ", ExitText(event));
    default:  // Also those of a newer machine.
      return "something else";
  }
}

}  // namespace

std::string StatusText(const proto::ControlStatus& status) {
  const std::string state =
      proto::ControlStatus::State_IsValid(status.state())
          ? absl::AsciiStrToLower(
                proto::ControlStatus::State_Name(status.state()))
          : "unknown";
  return absl::StrFormat(
      "name:    %s\nstate:   %s\nuptime:  %.1f s\ncpus:    %u\n"
      "memory:  %u MiB\ncards:   %u\npid:     %d\n",
      absl::CHexEscape(status.name()), state,
      static_cast<double>(status.uptime_ms()) / 1e3, status.cpus(),
      status.memory_bytes() >> 20, status.net_cards(), status.pid());
}

std::string ExitText(const proto::ControlEvent& event) {
  std::string text = absl::CHexEscape(event.exit_reason());
  if (!event.exit_detail().empty()) {
    absl::StrAppend(&text, ": ", absl::CHexEscape(event.exit_detail()));
  }
  if (event.exit_code() != 0) {
    absl::StrAppend(&text, " (code ", event.exit_code(), ")");
  }
  return text;
}

std::string EventLine(const proto::ControlEvent& event) {
  std::string line = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                                      absl::FromUnixNanos(event.time_ns()),
                                      absl::UTCTimeZone());
  if (event.lost() != 0) {
    absl::StrAppend(&line, " (", event.lost(), " lost before)");
  }
  if (!event.device().empty()) {
    absl::StrAppend(&line, " ", absl::CHexEscape(event.device()));
  }
  absl::StrAppend(&line, " ", KindText(event), "\n");
  return line;
}

}  // namespace annulus::cli
