#ifndef TESTS_BENCH_EMBED_BENCH_OPTIONS_H_
#define TESTS_BENCH_EMBED_BENCH_OPTIONS_H_

#include <cstdint>
#include <string>

namespace annulus::bench {

struct EmbedBenchOptions {
  std::string measurement;  // start, resident or processes.
  std::string kernel;       // The microguest.
  uint32_t runs = 31;
  uint32_t vms = 1;
  bool sandbox = false;
};

// Ends the process where the command line is wrong.
EmbedBenchOptions ParseEmbedBenchOptions(int argc, char** argv);

}  // namespace annulus::bench

#endif  // TESTS_BENCH_EMBED_BENCH_OPTIONS_H_
