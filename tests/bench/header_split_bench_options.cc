#include "tests/bench/header_split_bench_options.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/string_view.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "tests/bench/header_split_bench_application.h"
#include "tests/bench/number.h"

namespace annulus::bench {
namespace {

using virtio::ReceiveMethod;

constexpr char kHelp[] = R"(usage: header_split_bench [OPTION]...

--method merged|chain|A|B|C|Q|Q-merged   (B)
             merged, chain: pages with and without VIRTIO_NET_F_MRG_RXBUF, never
             split. Q-merged: the payload begins behind the virtio-net header
--split on|off   (on) off: the same buffers, and nothing is split
--use copy|hold|look   (hold) the payload: is copied into pages of the program,
             is kept in the pages that it came in, is not looked at
--format packed|split            the rings (packed)
--source memory|tap              (memory) tap needs root
--payload N                      bytes of each segment of the stream (4096)
--mixed                          with pure ACKs, IPv4 fragments and ARP
--frames N                       (1000000)
--batch N                        frames that the driver handles at a time (64)
--source-mib N                   memory that frames are copied from (16)
--steps      how long either thread takes for a frame without waiting for the
             other; source memory only; costs a little
--device-cpu N --driver-cpu N    pin the receive worker, and the program
)";

// A chain has to have room for the largest frame, so it has 17 pages. Without
// a place of its own for the virtio-net header, no payload is aligned.
constexpr uint16_t kChainPages = 17;
constexpr Method kMethods[] = {
    {"merged", ReceiveMethod::kNone, true, 0, 1},
    {"chain", ReceiveMethod::kNone, false, 12, kChainPages},
    {"A", ReceiveMethod::kChain, false, 128, kChainPages},
    {"B", ReceiveMethod::kBuffers, true, 0, 1},
    {"C", ReceiveMethod::kSmallBuffers, true, 128, 1},
    {"Q", ReceiveMethod::kHeaderQueue, false, 20, kChainPages},
    {"Q-merged", ReceiveMethod::kHeaderQueue, true, 0, 1},
};

[[noreturn]] void Usage(int code) {
  std::fputs(kHelp, code == 0 ? stdout : stderr);
  std::exit(code);
}

uint64_t Number(const char* text, uint64_t least, uint64_t most) {
  return bench::Number("header_split_bench", text, least, most);
}

// The index of `text` in `names`, or the end of the program.
template <size_t kCount>
size_t OneOf(const char* text, const char* const (&names)[kCount]) {
  for (size_t i = 0; i < kCount; ++i) {
    if (std::strcmp(text, names[i]) == 0) return i;
  }
  Usage(2);
}

const Method* FindMethod(absl::string_view name) {
  for (const Method& method : kMethods) {
    if (name == method.name) return &method;
  }
  Usage(2);
}

}  // namespace

HeaderSplitBenchOptions ParseOptions(int argc, char** argv) {
  const option kOptions[] = {{"method", required_argument, nullptr, 'm'},
                             {"split", required_argument, nullptr, 's'},
                             {"use", required_argument, nullptr, 'u'},
                             {"format", required_argument, nullptr, 'f'},
                             {"source", required_argument, nullptr, 'o'},
                             {"payload", required_argument, nullptr, 'p'},
                             {"mixed", no_argument, nullptr, 'x'},
                             {"frames", required_argument, nullptr, 'n'},
                             {"batch", required_argument, nullptr, 'a'},
                             {"source-mib", required_argument, nullptr, 'b'},
                             {"steps", no_argument, nullptr, 't'},
                             {"device-cpu", required_argument, nullptr, 'd'},
                             {"driver-cpu", required_argument, nullptr, 'r'},
                             {"help", no_argument, nullptr, 'h'},
                             {}};
  HeaderSplitBenchOptions options;
  options.method = FindMethod("B");
  int c;
  while ((c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (c) {
      case 'm':
        options.method = FindMethod(optarg);
        break;
      case 's':
        options.split = OneOf(optarg, {"off", "on"}) == 1;
        break;
      case 'u':
        options.use = static_cast<Use>(OneOf(optarg, {"copy", "hold", "look"}));
        break;
      case 'f':
        OneOf(optarg, {"packed", "split"});
        options.format = optarg;
        break;
      case 'o':
        OneOf(optarg, {"memory", "tap"});
        options.source = optarg;
        break;
      case 'p':
        options.payload = static_cast<uint32_t>(Number(optarg, 1, 65483));
        break;
      case 'x':
        options.mixed = true;
        break;
      case 'n':
        options.frames = Number(optarg, 1, 1'000'000'000);
        break;
      case 'a':
        options.batch = static_cast<uint32_t>(Number(optarg, 1, 1024));
        break;
      case 'b':
        options.source_mib = static_cast<uint32_t>(Number(optarg, 1, 1024));
        break;
      case 't':
        options.steps = true;
        break;
      case 'd':
        options.device_cpu = static_cast<int>(Number(optarg, 0, 1023));
        break;
      case 'r':
        options.driver_cpu = static_cast<int>(Number(optarg, 0, 1023));
        break;
      default:
        Usage(c == 'h' ? 0 : 2);
    }
  }
  if (optind != argc) Usage(2);
  if (options.method->method == ReceiveMethod::kNone) options.split = false;
  return options;
}

}  // namespace annulus::bench
