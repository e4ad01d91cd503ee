#include "tests/guest_user/stream_flags.h"

#include <cstdint>
#include <functional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus::guest_user {
namespace {

constexpr struct {
  const char* name;
  StreamProtocol protocol;
} kProtocols[] = {{"tcp4", StreamProtocol::kTcp4},
                  {"tcp6", StreamProtocol::kTcp6},
                  {"udp4", StreamProtocol::kUdp4},
                  {"udp6", StreamProtocol::kUdp6}};

// Two of them, and headers, are less than the longest IP packet.
constexpr uint32_t kMaxPayloadBytes = 8 * 4096;

std::function<absl::Status(absl::string_view)> SetNumber(uint64_t& number,
                                                         uint64_t min,
                                                         uint64_t max) {
  return [&number, min, max](absl::string_view text) {
    uint64_t value = 0;
    if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("is no number from ", min, " to ", max));
    }
    number = value;
    return absl::OkStatus();
  };
}

}  // namespace

void AddStreamFlags(cli::FlagSet& flags, StreamSpec& spec) {
  flags.AddValue("stream", "tcp4|tcp6|udp4|udp6", "what is sent (tcp4)",
                 [&spec](absl::string_view text) {
                   for (const auto& known : kProtocols) {
                     if (text != known.name) continue;
                     spec.protocol = known.protocol;
                     return absl::OkStatus();
                   }
                   return absl::InvalidArgumentError("no such stream");
                 });
  flags.AddValue("frames", "N", "how many (1000)",
                 SetNumber(spec.frames, 1, uint64_t{1} << 32));
  flags.AddValue("seed", "N", "of the payload's bytes (1)",
                 SetNumber(spec.seed, 0, UINT64_MAX));
  flags.AddValue("bytes", "N", "of a frame's payload (4096)",
                 [&spec](absl::string_view text) {
                   uint64_t bytes = 0;
                   const absl::Status status =
                       SetNumber(bytes, 8, kMaxPayloadBytes)(text);
                   if (status.ok()) {
                     spec.payload_bytes = static_cast<uint32_t>(bytes);
                   }
                   return status;
                 });
  flags.AddSwitch("timestamps", 0,
                  "TCP: with that option (default); --no-timestamps: without",
                  [&spec](bool on) { spec.timestamps = on; });
  flags.AddSwitch("gso", 0, "TCP: every fourth frame has 64 KiB",
                  [&spec](bool on) { spec.gso = on; });
  flags.AddSwitch("mixed", 0,
                  "TCP: pure ACKs and IPv4 fragments among the frames",
                  [&spec](bool on) { spec.mixed = on; });
}

absl::Status CheckStream(const StreamSpec& spec) {
  if (!IsTcp(spec) && (spec.gso || spec.mixed)) {
    return absl::InvalidArgumentError("--gso and --mixed are for TCP");
  }
  return absl::OkStatus();
}

}  // namespace annulus::guest_user
