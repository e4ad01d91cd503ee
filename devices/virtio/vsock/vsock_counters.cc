#include "devices/virtio/vsock/vsock_counters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus::virtio {
namespace {

constexpr std::array<absl::string_view, kVsockResetReasons> kReasons = {
    "by_guest", "closed", "refused", "limit", "unknown",     "type",
    "protocol", "credit", "timeout", "host",  "unreachable", "transport"};

}  // namespace

void VisitCounters(const VsockCounters& counters, CounterVisitor visit) {
  const struct {
    absl::string_view name;
    const Counter& counter;
  } kCounters[] = {
      {"packets", counters.packets},
      {"bytes", counters.bytes},
      {"connections", counters.connections},
      {"malformed", counters.malformed},
      {"spoofed", counters.spoofed},
      {"credit_stalls", counters.credit_stalls},
      {"buffer_stalls", counters.buffer_stalls},
      {"replies_lost", counters.replies_lost},
      {"datagrams_lost", counters.datagrams_lost},
  };
  for (const auto& [name, counter] : kCounters) {
    visit(name, {}, counter.value());
  }
  for (size_t i = 0; i < kReasons.size(); ++i) {
    visit("resets", kReasons[i], counters.resets[i].value());
  }
}

std::string DescribeCounters(const VsockCounters& counters) {
  std::string text;
  VisitCounters(counters, [&text](absl::string_view name,
                                  absl::string_view reason, uint64_t value) {
    const bool always =
        name == "packets" || name == "bytes" || name == "connections";
    if (value == 0 && !always) return;
    absl::StrAppend(&text, text.empty() ? "" : " ", name,
                    reason.empty() ? "" : "_", reason, "=", value);
  });
  return text;
}

}  // namespace annulus::virtio
