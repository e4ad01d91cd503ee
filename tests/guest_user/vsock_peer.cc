// A program at either end of sockets between guest and host, or two guests.

#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/flag_set.h"
#include "tests/guest_user/vsock_address.h"
#include "tests/guest_user/vsock_client.h"
#include "tests/guest_user/vsock_server.h"
#include "tests/guest_user/vsock_transfer.h"

namespace annulus::guest_user {
namespace {

constexpr char kUsage[] = "vsock_peer COMMAND ADDRESS [FLAGS] [WORD...]";
constexpr char kDescription[] =
    "Checks connections, byte by byte, at one end; another vsock_peer, which\n"
    "serves, is at the other one. ADDRESS is vsock:CID:PORT, device:PATH:PORT\n"
    "(the host's end of Annulus's device) or unix:PATH.\n"
    "\n"
    "  serve       does what the others ask for, until it is killed\n"
    "  send        BYTES to the server; receive: from it; echo: both at once\n"
    "  half-close  a request that ends in SHUT_WR, and its answer; with\n"
    "              --reverse the server asks\n"
    "  messages    COUNT of up to CHUNK bytes, there and back (--seqpacket)\n"
    "  ping        COUNT of BYTES\n"
    "  churn       COUNT connections one after the other\n"
    "  hold        COUNT connections at once\n"
    "  stall       BYTES to a server that does not read for DELAY, while\n"
    "              another connection is used; with --reverse from a server\n"
    "  endless     until the connection is taken away; --reverse: receives\n"
    "  failures    fails if a connection of the server has failed\n"
    "  notify      sends WORDs as sd_notify does; notified: receives them\n"
    "  return      sends one connection of any program back what it sends";
constexpr char kExample[] =
    "Ends with 0 after a line that ends in PASS, 1 after one with FAIL, 2 if\n"
    "called wrongly.";

using Command =
    std::function<absl::StatusOr<std::string>(const ClientOptions& options)>;

struct Options {
  ClientOptions client;
  std::vector<std::string> words;
};

absl::Status SetNumber(absl::string_view text, uint64_t max, uint64_t& number) {
  uint64_t value = 0;
  // A unit, as in 64M.
  uint64_t unit = 1;
  if (!text.empty()) {
    const size_t shift = absl::string_view("kMG").find(text.back());
    if (shift != absl::string_view::npos) {
      unit = uint64_t{1} << (10 * (shift + 1));
      text.remove_suffix(1);
    }
  }
  if (!absl::SimpleAtoi(text, &value) || value > max / unit) {
    return absl::InvalidArgumentError(absl::StrCat("is no number up to ", max));
  }
  number = value * unit;
  return absl::OkStatus();
}

void AddFlags(cli::FlagSet& flags, ClientOptions& options) {
  const auto number = [](uint64_t& where, uint64_t max) {
    return [&where, max](absl::string_view text) {
      return SetNumber(text, max, where);
    };
  };
  const auto duration = [](absl::Duration& where) {
    return [&where](absl::string_view text) {
      uint64_t seconds = 0;
      const absl::Status status = SetNumber(text, 86400, seconds);
      where = absl::Seconds(seconds);
      return status;
    };
  };
  flags.AddSwitch("seqpacket", 0, "SOCK_SEQPACKET; default: SOCK_STREAM",
                  [&options](bool on) { options.socket.seqpacket = on; });
  flags.AddValue("bytes", "N[k|M|G]", "how many (1M)",
                 number(options.bytes, uint64_t{1} << 50));
  flags.AddValue("count", "N", "how many (100)",
                 number(options.count, uint64_t{1} << 32));
  flags.AddValue("seed", "N", "of the bytes (1)",
                 number(options.seed, uint64_t{1} << 20));
  flags.AddValue("chunk", "N[k]", "bytes of a system call or message (64k)",
                 [&options](absl::string_view text) {
                   uint64_t bytes = 0;
                   const absl::Status status =
                       SetNumber(text, TransferRequest::kMaxChunkBytes, bytes);
                   options.chunk_bytes = static_cast<uint32_t>(bytes);
                   return status.ok() && bytes == 0
                              ? absl::InvalidArgumentError("is none")
                              : status;
                 });
  flags.AddValue("delay", "SECONDS", "see stall", duration(options.delay));
  flags.AddValue("timeout", "SECONDS", "of a system call that blocks (60)",
                 duration(options.socket.timeout));
  flags.AddValue("wait", "SECONDS", "tries to connect that long (0)",
                 duration(options.socket.wait));
  flags.AddSwitch("unchecked", 0, "sends zeros and looks at nothing",
                  [&options](bool on) { options.unchecked = on; });
  flags.AddSwitch("reverse", 0, "the other direction",
                  [&options](bool on) { options.receive = on; });
}

absl::StatusOr<std::string> Serve(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd listener,
                           ListenSocket(options.address, options.socket));
  TransferServer server(std::move(listener), options.socket);
  return server.Run();
}

absl::StatusOr<std::string> Receive(ClientOptions options) {
  options.receive = true;
  return Transfer(options);
}

// Thousands of connections have as many descriptors.
void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlimit more = {65536, 65536};
  if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  Options options;
  cli::FlagSet flags(kUsage, kDescription);
  AddFlags(flags, options.client);
  flags.AddHelpSection(kExample);
  const auto rest = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  const std::pair<absl::string_view, Command> commands[] = {
      {"serve", Serve},
      {"send", Transfer},
      {"receive", Receive},
      {"echo", EchoStream},
      {"half-close", HalfClose},
      {"messages", Messages},
      {"ping", Ping},
      {"churn", Churn},
      {"hold", Hold},
      {"stall", Stall},
      {"endless", Endless},
      {"failures", Failures},
      {"notified", AwaitNotification},
      {"return", ReturnAll},
      {"notify",
       [&options](const ClientOptions& client) {
         return Notify(client, options.words);
       }},
  };
  absl::Status status = rest.status();
  const Command* command = nullptr;
  if (status.ok()) {
    for (const auto& [name, run] : commands) {
      if (!rest->empty() && rest->front() == name) command = &run;
    }
    if (command == nullptr || rest->size() < 2) {
      status = absl::InvalidArgumentError("wants a COMMAND and an ADDRESS");
    }
  }
  if (status.ok()) {
    const auto address = ParseSocketAddress((*rest)[1]);
    status = address.status();
    if (status.ok()) options.client.address = *address;
  }
  if (!status.ok()) {
    std::fprintf(stderr, "vsock_peer: %s\n",
                 std::string(status.message()).c_str());
    return 2;
  }
  options.words.assign(rest->begin() + 2, rest->end());
  RaiseDescriptorLimit();
  const absl::StatusOr<std::string> said = (*command)(options.client);
  const std::string& name = rest->front();
  if (!said.ok()) {
    std::printf("vsock_peer %s: FAIL: %s\n", name.c_str(),
                std::string(said.status().message()).c_str());
    return 1;
  }
  std::printf("vsock_peer %s: %s PASS\n", name.c_str(), said->c_str());
  return 0;
}

}  // namespace
}  // namespace annulus::guest_user

int main(int argc, char** argv) {
  return annulus::guest_user::Main(argc, argv);
}
