#ifndef TESTS_GUEST_USER_DMA_MEMORY_H_
#define TESTS_GUEST_USER_DMA_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace annulus::guest_user {

// Zeroed memory that a device may write to, by a program that is no driver of
// its kernel: its physical addresses are known and stay what they are.
//
// It is made of huge pages of 2 MiB, locked. Neither swapping nor page
// migration for compaction takes these (mlock(2) alone keeps a page in memory,
// but not in its place), and there is no IOMMU between the device and them, so
// what /proc/self/pagemap says holds until they are unmapped. Needs
// CAP_SYS_ADMIN, and raises /proc/sys/vm/nr_hugepages by what it takes.
//
// Threads: thread-compatible.
class DmaMemory {
 public:
  struct Block {
    uint8_t* host = nullptr;
    uint64_t addr = 0;  // Guest-physical.
  };

  // `bytes` are rounded up to huge pages.
  static absl::StatusOr<std::unique_ptr<DmaMemory>> Create(size_t bytes);
  ~DmaMemory();

  DmaMemory(const DmaMemory&) = delete;
  DmaMemory& operator=(const DmaMemory&) = delete;

  // Physically contiguous. REQUIRES: `alignment` is a power of 2, both are at
  // most 2 MiB, and there is as much left.
  Block Allocate(size_t bytes, size_t alignment);

  // Pages of 4096 bytes that follow each other in the program's own addresses.
  struct Pages {
    uint8_t* host = nullptr;
    std::vector<uint64_t> addrs;  // Of each.
  };
  Pages AllocatePages(size_t count);

  // That the argument above holds: for the end of whatever relied on it.
  absl::Status CheckInPlace() const;

  static constexpr size_t kHugePageBytes = size_t{2} << 20;

 private:
  DmaMemory(uint8_t* host, size_t bytes) : host_(host), bytes_(bytes) {}

  // Of each huge page, as they are now.
  absl::StatusOr<std::vector<uint64_t>> Addresses() const;

  uint8_t* const host_;
  const size_t bytes_;
  std::vector<uint64_t> addrs_;  // As they were at first.
  size_t used_ = 0;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_DMA_MEMORY_H_
