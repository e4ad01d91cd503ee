#include "devices/virtio/vsock/vsock_counters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus::virtio {
namespace {

constexpr std::array<absl::string_view, kVsockResetReasons> kReasons = {
    "by_guest", "closed", "refused", "limit", "unknown",     "type",
    "protocol", "credit", "timeout", "host",  "unreachable", "transport"};

}  // namespace

std::string DescribeCounters(const VsockCounters& counters) {
  std::string text = absl::StrCat(
      "packets=", counters.packets.value(), " bytes=", counters.bytes.value(),
      " connections=", counters.connections.value());
  const auto add = [&text](absl::string_view name, const Counter& counter) {
    if (counter.value() != 0) {
      absl::StrAppend(&text, " ", name, "=", counter.value());
    }
  };
  add("malformed", counters.malformed);
  add("spoofed", counters.spoofed);
  add("credit_stalls", counters.credit_stalls);
  add("buffer_stalls", counters.buffer_stalls);
  add("replies_lost", counters.replies_lost);
  add("datagrams_lost", counters.datagrams_lost);
  for (size_t i = 0; i < kReasons.size(); ++i) {
    add(absl::StrCat("resets_", kReasons[i]), counters.resets[i]);
  }
  return text;
}

}  // namespace annulus::virtio
