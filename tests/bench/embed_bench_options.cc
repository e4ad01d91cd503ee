#include "tests/bench/embed_bench_options.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>

namespace annulus::bench {
namespace {

constexpr char kHelp[] =
    R"(usage: embed_bench start|resident|processes --kernel FILE [OPTION]...

start       Create(), Start() to the first guest instruction, Stop() and Wait()
resident    memory of idle VMs in this process
processes   memory of idle VMs, each in a process of its own

--kernel FILE   tests/guest:microguest
--runs N        (31)
--vms N         (1)
--sandbox       as annulus run has; of start, with --runs 1
)";

[[noreturn]] void Wrong() {
  std::fputs(kHelp, stderr);
  std::exit(2);
}

}  // namespace

EmbedBenchOptions ParseEmbedBenchOptions(int argc, char** argv) {
  EmbedBenchOptions options;
  const option kOptions[] = {{"kernel", required_argument, nullptr, 'k'},
                             {"runs", required_argument, nullptr, 'r'},
                             {"vms", required_argument, nullptr, 'v'},
                             {"sandbox", no_argument, nullptr, 's'},
                             {}};
  for (int c; (c = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'k':
        options.kernel = optarg;
        break;
      case 'r':
        options.runs = static_cast<uint32_t>(std::atoi(optarg));
        break;
      case 'v':
        options.vms = static_cast<uint32_t>(std::atoi(optarg));
        break;
      case 's':
        options.sandbox = true;
        break;
      default:
        Wrong();
    }
  }
  if (optind + 1 != argc || options.kernel.empty() || options.runs == 0 ||
      options.vms == 0) {
    Wrong();
  }
  options.measurement = argv[optind];
  return options;
}

}  // namespace annulus::bench
