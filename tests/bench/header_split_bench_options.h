#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_OPTIONS_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_OPTIONS_H_

#include <cstdint>
#include <string>

#include "devices/virtio/driver/header_split_receiver.h"
#include "tests/bench/header_split_bench_application.h"

namespace annulus::bench {

// One way to receive: how buffers are made, and what is to be split.
struct Method {
  const char* name;
  virtio::ReceiveMethod method;  // How buffers are made, split or not.
  bool mergeable;
  uint32_t small_bytes;       // 0: none.
  uint16_t pages_per_buffer;  // Of more than 1, fewer buffers.
};

struct HeaderSplitBenchOptions {
  const Method* method = nullptr;
  bool split = true;  // Else the same buffers, and nothing is split.
  Use use = Use::kHold;
  std::string format = "packed";
  std::string source = "memory";
  uint32_t payload = 4096;
  bool mixed = false;
  uint64_t frames = 1'000'000;
  uint32_t batch = 64;
  uint32_t source_mib = 16;
  bool steps = false;
  int device_cpu = -1;  // -1: any.
  int driver_cpu = -1;
};

HeaderSplitBenchOptions ParseOptions(int argc, char** argv);

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_OPTIONS_H_
