#ifndef DEVICES_VHOST_USER_MEMORY_FRONT_END_MEMORY_H_
#define DEVICES_VHOST_USER_MEMORY_FRONT_END_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "memory/dirty_log.h"
#include "memory/guarded_mapping.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::vhost_user {

// A byte of a file.
struct FilePlace {
  uint64_t device = 0;  // st_dev
  uint64_t inode = 0;   // st_ino
  uint64_t offset = 0;

  friend bool operator==(const FilePlace&, const FilePlace&) = default;
};

// The guest's memory as a front-end shares it: regions with two addresses each,
// the guest's and the front-end's own ("Memory access" of the protocol). A
// change of the set of regions gives a new GuestMemory; nobody may use the
// older one by then.
//
// Threads: thread-compatible; belongs to the thread of the connection. Queue
//   workers use GuestMemory alone.
// Trust: regions are untrusted: too many or too large ones, empty ones, those
//   that wrap or overlap in either address space, and files too short are
//   refused, and leave everything as it was.
class FrontEndMemory {
 public:
  // Of VHOST_USER_GET_MAX_MEM_SLOTS.
  static constexpr size_t kMaxRegions = 509;
  // Of memory::GuardedMapping at a time: a table is mapped while the one of
  // before still is.
  static constexpr size_t kMaxMappings = kMaxRegions + kMaxTableRegions;
  static_assert(kMaxMappings <= memory::GuardedMapping::kShare);
  // Of all regions together. A file need not have what it says that it has, and
  // the addresses of the process are those of all its devices.
  static constexpr uint64_t kMaxBytes = uint64_t{4} << 40;

  // `lost` is signalled when a region's file was cut off; outlives this.
  explicit FrontEndMemory(const EventFd& lost) : lost_(lost) {}

  // VHOST_USER_SET_MEM_TABLE: these regions and no others. As many `fds`.
  absl::Status SetTable(absl::Span<const MemoryRegion> regions,
                        absl::Span<const UniqueFd> fds);
  // VHOST_USER_ADD_MEM_REG and VHOST_USER_REM_MEM_REG. NotFound for one that
  // is not there. One that is the very same as one that is there is counted: it
  // goes when it was removed as often as added. QEMU, at least 7.2, does both
  // once for each queue pair of a network card.
  absl::Status Add(const MemoryRegion& region, const UniqueFd& fd);
  absl::Status Remove(const MemoryRegion& region);
  void Clear();

  // Whoever writes to guest memory marks it there from the next memory() on;
  // null: nowhere. Outlives its use.
  void SetDirtyLog(memory::DirtyLog* log);

  // The current map, or null while there is no region. Valid until the next
  // change of regions or log.
  const memory::GuestMemory* memory() const { return memory_.get(); }

  // Where the guest has what the front-end sees at `user_address`, as far as
  // that is in a region: of ring addresses.
  std::optional<memory::GuestAddress> ToGuest(uint64_t user_address) const;

  // Where `address` is in which file, or nullopt where it is in no region: the
  // same bytes for as long as the file is not gone, whatever their addresses.
  std::optional<FilePlace> ToFile(memory::GuestAddress address) const;

  // True once a region was cut off.
  bool lost() const;

 private:
  struct Region {
    MemoryRegion description;
    FilePlace start;
    memory::GuardedMapping mapping;
    size_t times = 1;  // That it was added and not removed.
  };

  std::vector<Region>::iterator Find(const MemoryRegion& region);
  static absl::Status AddAgain(Region& present, const MemoryRegion& region,
                               const UniqueFd& fd);
  absl::StatusOr<Region> Map(const MemoryRegion& description, int fd) const;
  void BuildMap();

  const EventFd& lost_;
  memory::DirtyLog* log_ = nullptr;
  std::vector<Region> regions_;
  std::unique_ptr<memory::GuestMemory> memory_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_MEMORY_FRONT_END_MEMORY_H_
