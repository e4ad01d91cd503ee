// Sends a stream to hs_receive, which runs in a guest behind a tap interface.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/flag_set.h"
#include "tests/guest_user/credit.h"
#include "tests/guest_user/credit_listener.h"
#include "tests/guest_user/frame_sender.h"
#include "tests/guest_user/stream.h"
#include "tests/guest_user/stream_flags.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {
namespace {

constexpr char kDescription[] =
    "Sends a stream of frames into a tap interface, to hs_receive in the "
    "guest\n"
    "whose network card is at its other end. The receiver says how far it is,\n"
    "so no queue on the way overflows; whoever is there first waits for the\n"
    "other. Needs root. UDP needs addresses and neighbours:\n"
    "  ip address add 10.0.0.1/24 dev tap0\n"
    "  ip neigh replace 10.0.0.2 lladdr MAC nud permanent dev tap0\n"
    "and for udp6 the same with fd00::1/64 and fd00::2.";

constexpr char kExample[] =
    "Example: hs_send --interface tap0 --to 52:54:00:12:34:56 --frames 2000\n"
    "Flags of the stream are to be those of hs_receive. The interface's MTU "
    "is\n"
    "to be large enough, 9000 for 4096 bytes of payload.\n"
    "Ends with 0 if all was received, 1 if not, 2 if called wrongly.";

struct SendOptions {
  std::string interface;
  MacAddress destination = {};
  StreamSpec stream;
};

absl::Status SetMacAddress(absl::string_view text, MacAddress& address) {
  unsigned int bytes[6];
  char end = 0;
  if (std::sscanf(std::string(text).c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c",
                  &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
                  &bytes[5], &end) != 6) {
    return absl::InvalidArgumentError("is no MAC address");
  }
  std::copy_n(bytes, address.size(), address.begin());
  return absl::OkStatus();
}

absl::Status SendAll(const SendOptions& options) {
  const StreamSpec& spec = options.stream;
  // Before the receiver can say anything to miss.
  ANNULUS_ASSIGN_OR_RETURN(CreditListener listener,
                           CreditListener::Open(options.interface, spec.seed));
  ANNULUS_ASSIGN_OR_RETURN(
      const std::unique_ptr<FrameSender> sender,
      OpenFrameSender(spec, options.interface, options.destination));
  uint64_t sent = 0;
  uint64_t received = 0;
  while (received < spec.frames) {
    absl::StatusOr<Credit> credit = listener.Await();
    if (!credit.ok()) {
      return absl::DeadlineExceededError(
          absl::StrCat(sent, " frames were sent and ", received, " received; ",
                       credit.status().message()));
    }
    received = credit->received;
    const uint64_t allowed =
        std::min(spec.frames, credit->received + credit->window);
    for (; sent < allowed; ++sent) {
      ANNULUS_RETURN_IF_ERROR(sender->Send(sent));
    }
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  SendOptions options;
  cli::FlagSet flags("hs_send --interface NAME --to MAC [FLAGS]", kDescription);
  flags.AddValue("interface", "NAME", "the tap",
                 [&options](absl::string_view text) {
                   options.interface = std::string(text);
                   return absl::OkStatus();
                 });
  flags.AddValue("to", "MAC", "the card's address",
                 [&options](absl::string_view text) {
                   return SetMacAddress(text, options.destination);
                 });
  AddStreamFlags(flags, options.stream);
  flags.AddHelpSection(kExample);
  const auto rest = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  absl::Status status = rest.status();
  if (status.ok()) status = CheckStream(options.stream);
  if (status.ok() && (options.interface.empty() || !rest->empty())) {
    status = absl::InvalidArgumentError("wants --interface, and flags alone");
  }
  if (!status.ok()) {
    std::fprintf(stderr, "hs_send: %s\n",
                 std::string(status.message()).c_str());
    return 2;
  }
  status = SendAll(options);
  if (!status.ok()) {
    std::printf("hs_send: FAIL: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  std::printf("hs_send: %s frames received: PASS\n",
              std::to_string(options.stream.frames).c_str());
  return 0;
}

}  // namespace
}  // namespace annulus::guest_user

int main(int argc, char** argv) {
  return annulus::guest_user::Main(argc, argv);
}
