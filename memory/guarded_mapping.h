#ifndef MEMORY_GUARDED_MAPPING_H_
#define MEMORY_GUARDED_MAPPING_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"

namespace annulus::memory {

// Memory of another process, mapped shared and writable from a descriptor that
// it sent. The other process can truncate the file at any time: what touches a
// page that is gone then gets SIGBUS, which by default ends this process, and
// with it the devices of everybody else.
//
// Where HandleBusErrors() of bus_errors.h was called, the mapping is instead
// replaced as a whole by zeroes of our own, `lost` is signalled, and what
// touched it goes on. Whoever owns the device then ends it: nothing that it
// does reaches the guest any more.
//
// Threads: Map() and the destructor from any thread; lost() from any thread.
//   Nobody touches the memory after the destructor began.
// Trust: `fd`, `offset` and `size` come from the other process.
// Allocation: a slot of a table with room for kMaxMappings.
class GuardedMapping {
 public:
  // Owners that know nothing of each other, such as devices with their
  // front-ends, take no mappings from each other if none has more than kShare
  // of them: 509 regions are usual, and there is more than regions.
  static constexpr size_t kOwners = 64;
  static constexpr size_t kShare = 528;
  static constexpr size_t kMaxMappings = kOwners * kShare;  // Of the process.

  // Maps [offset, offset + size) of `fd`. The descriptor is not needed
  // afterwards. `lost` outlives the mapping. Errors: InvalidArgument where
  // `fd` is no regular file (memfd, tmpfs, hugetlbfs or another but FUSE), or
  // is not that large; ResourceExhausted where there are too many mappings; the
  // errno of mmap(2).
  static absl::StatusOr<GuardedMapping> Map(int fd, uint64_t offset,
                                            uint64_t size, const EventFd& lost);

  GuardedMapping(GuardedMapping&& other) noexcept;
  GuardedMapping& operator=(GuardedMapping&& other) noexcept;
  ~GuardedMapping();

  uint8_t* data() const { return data_; }  // Of byte `offset`.
  uint64_t size() const { return size_; }

  // True once a page was gone.
  bool lost() const;

 private:
  GuardedMapping() = default;
  void Unmap();

  // Of the table; kMaxMappings: none, it was moved from.
  size_t slot_ = kMaxMappings;
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  // What mmap(2) gave, in whole pages of the file.
  uint8_t* base_ = nullptr;
  uint64_t mapped_ = 0;
};

// For the handler of SIGBUS alone: what touched `address` met a page that is
// gone. If that is in a guarded mapping, replaces it by zeroes, and returns the
// eventfd to be written. Async-signal-safe.
std::optional<int> ReplaceLostMapping(const void* address);

}  // namespace annulus::memory

#endif  // MEMORY_GUARDED_MAPPING_H_
