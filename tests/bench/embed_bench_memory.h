#ifndef TESTS_BENCH_EMBED_BENCH_MEMORY_H_
#define TESTS_BENCH_EMBED_BENCH_MEMORY_H_

#include <cstdint>

namespace annulus::bench {

// KiB of this process that are resident.
struct ResidentMemory {
  int64_t pss = 0;            // Shared pages by their shares.
  int64_t private_dirty = 0;  // Nobody else's.
  int64_t guest_ram = 0;      // Of these, mappings of that size.
};

ResidentMemory MemoryOfProcess(uint64_t guest_ram_bytes);

// What the kernel holds for page tables of this process.
int64_t PageTableKib();

}  // namespace annulus::bench

#endif  // TESTS_BENCH_EMBED_BENCH_MEMORY_H_
