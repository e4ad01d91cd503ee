#ifndef TESTS_BENCH_VSOCK_BENCH_OPTIONS_H_
#define TESTS_BENCH_VSOCK_BENCH_OPTIONS_H_

#include <cstdint>
#include <string>

namespace annulus::bench {

enum class Mode : uint8_t {
  kToGuest,  // A program of the host writes, one of the guest reads.
  kToHost,
  kRoundTrip,  // One byte there and back.
  kIdle,       // Connections that do nothing.
};

struct VsockBenchOptions {
  Mode mode = Mode::kToGuest;
  bool device = true;  // Else a socketpair(2), and no guest.
  bool packed = true;
  uint32_t bytes = 65536;  // Of each write.
  uint32_t connections = 1;
  uint32_t rx_buffer = 3776;  // Bytes of each receive buffer.
  bool mergeable = false;
  uint32_t buf_alloc = 256 * 1024;
  uint32_t poll_us = 0;  // How long threads look for work before they sleep.
  bool sandbox = false;  // The device's threads lock themselves up.
  double seconds = 1;    // That are measured.
};

// Ends the program where the command line makes no sense.
VsockBenchOptions ParseOptions(int argc, char** argv);

}  // namespace annulus::bench

#endif  // TESTS_BENCH_VSOCK_BENCH_OPTIONS_H_
