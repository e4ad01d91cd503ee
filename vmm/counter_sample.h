#ifndef VMM_COUNTER_SAMPLE_H_
#define VMM_COUNTER_SAMPLE_H_

#include <cstdint>
#include <string>

namespace annulus {

// One of the numbers that a VM counts, all of which only grow but for gauges
// ("connections_open").
struct CounterSample {
  std::string device;  // "net0", "vsock0"; empty: the VM itself.
  std::string queue;   // "rx0", "tx"; empty: the device as a whole.
  std::string name;    // "frames", "bytes", "drops", ...
  std::string reason;  // What else it is of: why frames were dropped; or empty.
  uint64_t value = 0;
  bool gauge = false;  // It goes up and down.
};

}  // namespace annulus

#endif  // VMM_COUNTER_SAMPLE_H_
