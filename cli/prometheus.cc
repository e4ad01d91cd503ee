#include "cli/prometheus.h"

#include <cstdint>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace annulus::cli {
namespace {

struct Help {
  absl::string_view metric;
  absl::string_view text;
};

// Others say what they are called.
constexpr Help kHelp[] = {
    {"net_frames", "Frames that went to the backend (tx) or driver (rx)."},
    {"net_bytes", "Bytes of those frames, without virtio_net_hdr."},
    {"net_drops", "Frames that were dropped, by reason."},
    {"net_interrupts", "Used buffer notifications sent to the driver."},
    {"net_notifications", "Available buffer notifications of the driver."},
    {"net_short_buffers", "Receive buffers without room for a header."},
    {"net_link_up", "Whether the driver sees the link up."},
    {"vsock_packets", "Packets sent to (rx) or taken from (tx) the guest."},
    {"vsock_bytes", "Bytes of payload of those packets."},
    {"vsock_connections", "Connections that were established."},
    {"vsock_connections_open", "Connections that there are."},
    {"vsock_resets", "Connections, or attempts, that ended with RST."},
    {"rng_bytes", "Random bytes that the driver was given."},
    {"vm_vcpu_exits", "Times that a vCPU left the guest, by kind."},
    {"vm_console_bytes", "Bytes of the console that were written."},
    {"vm_console_bytes_dropped", "Bytes of the console that nobody read."},
    {"vm_uptime_seconds", "Time since the guest was started."},
    {"vm_state", "1 for the state in which the machine is."},
};

std::string NamePart(absl::string_view text) {
  std::string name;
  for (const char c : text) {
    name += absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
}

// "net" of "net0"; "vm" of the machine itself.
std::string KindOf(absl::string_view device) {
  while (!device.empty() &&
         absl::ascii_isdigit(static_cast<unsigned char>(device.back()))) {
    device.remove_suffix(1);
  }
  return device.empty() ? "vm" : NamePart(device);
}

std::string LabelValue(absl::string_view text) {
  std::string value;
  for (const char c : text) {
    if (c == '\n') {
      value += "\\n";
    } else if (c == '"' || c == '\\') {
      value += '\\';
      value += c;
    } else {
      // UTF-8 would be legal; nothing of ours has it.
      value += absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '_';
    }
  }
  return value;
}

struct Metric {
  bool gauge = false;
  std::string samples;
};

// In the order of their names, so that each is in one piece.
using Metrics = std::map<std::string, Metric>;

using Labels =
    std::initializer_list<std::pair<absl::string_view, absl::string_view>>;

void Add(Metrics& metrics, const std::string& name, bool gauge,
         const Labels& labels, absl::string_view value) {
  Metric& metric = metrics[name];
  metric.gauge = gauge;
  std::string text;
  for (const auto& [label, of] : labels) {
    if (of.empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : ",", label, "=\"",
                    LabelValue(of), "\"");
  }
  absl::StrAppend(&metric.samples, "annulus_", name, gauge ? "" : "_total", "{",
                  text, "} ", value, "\n");
}

std::string HelpOf(absl::string_view metric) {
  for (const Help& help : kHelp) {
    if (help.metric == metric) return std::string(help.text);
  }
  return absl::StrCat("See docs/control.md: ", metric, ".");
}

}  // namespace

std::string PrometheusText(const proto::ControlStatus& status,
                           const proto::ControlCounters& counters) {
  Metrics metrics;
  Add(metrics, "vm_uptime_seconds", true, {{"vm", status.name()}},
      absl::StrFormat("%.3f", static_cast<double>(status.uptime_ms()) / 1e3));
  for (int state = 0; state < proto::ControlStatus::State_ARRAYSIZE; ++state) {
    Add(metrics, "vm_state", true,
        {{"vm", status.name()},
         {"state", absl::AsciiStrToLower(proto::ControlStatus::State_Name(
                       static_cast<proto::ControlStatus::State>(state)))}},
        status.state() == state ? "1" : "0");
  }
  for (const proto::ControlCounter& counter : counters.counters()) {
    Add(metrics,
        absl::StrCat(KindOf(counter.device()), "_", NamePart(counter.name())),
        counter.gauge(),
        {{"vm", counters.name()},
         {"device", counter.device()},
         {"queue", counter.queue()},
         {"reason", counter.reason()}},
        absl::StrCat(counter.value()));
  }
  std::string text;
  for (const auto& [name, metric] : metrics) {
    const std::string full =
        absl::StrCat("annulus_", name, metric.gauge ? "" : "_total");
    absl::StrAppend(&text, "# HELP ", full, " ", HelpOf(name), "\n# TYPE ",
                    full, metric.gauge ? " gauge\n" : " counter\n",
                    metric.samples);
  }
  return text;
}

}  // namespace annulus::cli
