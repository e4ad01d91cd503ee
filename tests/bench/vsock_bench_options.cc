#include "tests/bench/vsock_bench_options.h"

#include <getopt.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/bench/number.h"

namespace annulus::bench {
namespace {

constexpr char kHelp[] = R"(usage: vsock_bench [OPTION]...

--mode h2g|g2h|rtt|idle   (h2g) host to guest, guest to host, one byte there and
             back, memory of connections that do nothing
--path device|socketpair  (device) socketpair: two programs and no guest
--format packed|split     the rings (packed)
--bytes N                 of each write (65536)
--connections N           (1)
--rx-buffer N             bytes of each receive buffer; Linux has 3776 (3776)
--mergeable               negotiate MRG_RXBUF
--buf-alloc N             window of each connection, both ways (262144)
--poll-us N               how long workers and guest look for work before they
             sleep (0)
--sandbox                 as the device's threads in annulus run have
--milliseconds N          that are measured (1000)
)";

[[noreturn]] void Usage(int code) {
  std::fputs(kHelp, code == 0 ? stdout : stderr);
  std::exit(code);
}

uint32_t Number(const char* text, uint64_t least, uint64_t most) {
  return static_cast<uint32_t>(bench::Number("vsock_bench", text, least, most));
}

// The index of `text` in `names`, or the end of the program.
template <size_t kCount>
size_t OneOf(const char* text, const char* const (&names)[kCount]) {
  for (size_t i = 0; i < kCount; ++i) {
    if (std::strcmp(text, names[i]) == 0) return i;
  }
  Usage(2);
}

}  // namespace

VsockBenchOptions ParseOptions(int argc, char** argv) {
  const option kOptions[] = {{"mode", required_argument, nullptr, 'm'},
                             {"path", required_argument, nullptr, 'p'},
                             {"format", required_argument, nullptr, 'f'},
                             {"bytes", required_argument, nullptr, 'b'},
                             {"connections", required_argument, nullptr, 'c'},
                             {"rx-buffer", required_argument, nullptr, 'r'},
                             {"mergeable", no_argument, nullptr, 'g'},
                             {"buf-alloc", required_argument, nullptr, 'a'},
                             {"poll-us", required_argument, nullptr, 'u'},
                             {"sandbox", no_argument, nullptr, 'x'},
                             {"milliseconds", required_argument, nullptr, 's'},
                             {"help", no_argument, nullptr, 'h'},
                             {}};
  VsockBenchOptions options;
  int c;
  while ((c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (c) {
      case 'm':
        options.mode =
            static_cast<Mode>(OneOf(optarg, {"h2g", "g2h", "rtt", "idle"}));
        break;
      case 'p':
        options.device = OneOf(optarg, {"socketpair", "device"}) == 1;
        break;
      case 'f':
        options.packed = OneOf(optarg, {"split", "packed"}) == 1;
        break;
      case 'b':
        options.bytes = Number(optarg, 1, 65536);
        break;
      case 'c':
        options.connections = Number(optarg, 1, 8000);
        break;
      case 'r':
        options.rx_buffer = Number(optarg, 46, 65536);
        break;
      case 'g':
        options.mergeable = true;
        break;
      case 'a':
        options.buf_alloc = Number(optarg, 4096, 64 << 20);
        break;
      case 'u':
        options.poll_us = Number(optarg, 0, 1'000'000);
        break;
      case 'x':
        options.sandbox = true;
        break;
      case 's':
        options.seconds = Number(optarg, 1, 3'600'000) / 1000.0;
        break;
      default:
        Usage(c == 'h' ? 0 : 2);
    }
  }
  const bool needs_device = options.mode == Mode::kIdle;
  if (optind != argc || (needs_device && !options.device)) Usage(2);
  return options;
}

}  // namespace annulus::bench
