#include "tests/bench/embed_bench_memory.h"

#include <fstream>
#include <sstream>
#include <string>

namespace annulus::bench {

ResidentMemory MemoryOfProcess(uint64_t guest_ram_bytes) {
  std::ifstream file("/proc/self/smaps");
  ResidentMemory memory;
  uint64_t size_kib = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kib = 0;
    if (!(words >> name >> kib)) continue;
    if (name == "Size:") size_kib = static_cast<uint64_t>(kib);
    if (name == "Pss:") memory.pss += kib;
    if (name != "Private_Dirty:") continue;
    memory.private_dirty += kib;
    // The kernel is advised otherwise about its first 2 MiB.
    constexpr uint64_t kFirstKib = 2048;
    if (size_kib == kFirstKib ||
        size_kib == (guest_ram_bytes >> 10) - kFirstKib) {
      memory.guest_ram += kib;
    }
  }
  return memory;
}

int64_t PageTableKib() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("VmPTE:", 0) == 0) return std::stoll(line.substr(6));
  }
  return 0;
}

}  // namespace annulus::bench
