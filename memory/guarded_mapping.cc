#include "memory/guarded_mapping.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "memory/mapping_table.h"

namespace annulus::memory {
namespace {

static_assert(GuardedMapping::kMaxMappings == MappingTable::kSlots);

// Zero before any code runs and never destroyed: a handler may read it at any
// time.
constinit MappingTable table;

// The unit in which a file can be mapped.
absl::StatusOr<uint64_t> MappingUnit(int fd) {
  struct statfs filesystem;
  if (::fstatfs(fd, &filesystem) != 0) {
    return absl::ErrnoToStatus(errno, "asking for a file's kind of pages");
  }
  // Its pages come from a program that may never give them: what touches one
  // would wait for ever.
  if (filesystem.f_type == FUSE_SUPER_MAGIC) {
    return absl::InvalidArgumentError("a file of FUSE is no shared memory");
  }
  if (filesystem.f_type == HUGETLBFS_MAGIC) {
    return static_cast<uint64_t>(filesystem.f_bsize);
  }
  return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

absl::Status CheckRange(int fd, uint64_t offset, uint64_t size) {
  struct stat file;
  if (::fstat(fd, &file) != 0) {
    return absl::ErrnoToStatus(errno, "asking for the size of shared memory");
  }
  if (!S_ISREG(file.st_mode)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a descriptor for shared memory is no file but of mode %#o",
        file.st_mode));
  }
  const uint64_t file_size = static_cast<uint64_t>(file.st_size);
  if (size == 0 || !RangeFits(offset, size, file_size)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "shared memory of %u bytes at %#x is empty or beyond a file of %u",
        size, offset, file_size));
  }
  return absl::OkStatus();
}

// The system call itself, since sanitizers put more into mmap() than a handler
// may do.
bool MapZeroes(uint64_t begin, uint64_t size) {
  return ::syscall(SYS_mmap, begin, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                   0) != -1;
}

// One page of [begin, begin + size), where the host has no promise of memory
// for all of that (vm.overcommit_memory=2): the owner ends before
// many are touched. A page of hugetlbfs goes as a whole.
bool MapZeroesAround(uint64_t address, uint64_t begin, uint64_t size) {
  for (const uint64_t page :
       {uint64_t{1} << 12, uint64_t{1} << 21, uint64_t{1} << 30}) {
    const uint64_t start = address / page * page;
    if (start < begin || page > size || start - begin > size - page) break;
    if (MapZeroes(start, page)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<GuardedMapping> GuardedMapping::Map(int fd, uint64_t offset,
                                                   uint64_t size,
                                                   const EventFd& lost) {
  ANNULUS_RETURN_IF_ERROR(CheckRange(fd, offset, size));
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t unit, MappingUnit(fd));
  const uint64_t before = offset % unit;
  const std::optional<uint64_t> mapped = CheckedAlignUp(before + size, unit);
  if (!mapped.has_value()) {
    return absl::InvalidArgumentError("shared memory that wraps");
  }
  // No reserve: of huge pages the other side has taken care; if not, a page
  // that is not there is an error as any other.
  void* const base = ::mmap(nullptr, *mapped, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_NORESERVE, fd,
                            static_cast<off_t>(offset - before));
  if (base == MAP_FAILED) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("mapping %u bytes of shared memory", size));
  }
  // Advice: a core dump of ours shall hold no guest's secrets.
  (void)::madvise(base, *mapped, MADV_DONTDUMP);
  GuardedMapping mapping;
  mapping.base_ = static_cast<uint8_t*>(base);
  mapping.mapped_ = *mapped;
  mapping.data_ = mapping.base_ + before;
  mapping.size_ = size;
  mapping.slot_ = table.Add({.begin = reinterpret_cast<uint64_t>(base),
                             .size = *mapped,
                             .lost_fd = lost.fd()});
  if (mapping.slot_ == kMaxMappings) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "more than %u mappings of shared memory", kMaxMappings));
  }
  return mapping;
}

GuardedMapping::GuardedMapping(GuardedMapping&& other) noexcept
    : slot_(std::exchange(other.slot_, kMaxMappings)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      base_(std::exchange(other.base_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)) {}

GuardedMapping& GuardedMapping::operator=(GuardedMapping&& other) noexcept {
  if (this != &other) {
    Unmap();
    slot_ = std::exchange(other.slot_, kMaxMappings);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    base_ = std::exchange(other.base_, nullptr);
    mapped_ = std::exchange(other.mapped_, 0);
  }
  return *this;
}

GuardedMapping::~GuardedMapping() { Unmap(); }

void GuardedMapping::Unmap() {
  // In this order: once the addresses are free, they may be another's.
  if (slot_ != kMaxMappings) table.Remove(slot_);
  if (base_ != nullptr) ::munmap(base_, mapped_);
}

bool GuardedMapping::lost() const {
  return slot_ != kMaxMappings && table.lost(slot_);
}

std::optional<int> ReplaceLostMapping(const void* address) {
  const auto at = reinterpret_cast<uint64_t>(address);
  const std::optional<MappingTable::Found> found = table.Find(at);
  if (!found.has_value()) return std::nullopt;
  // All of it: who touches it next, on whatever thread, meets no fault more.
  // Two threads may do so at once.
  const MappingTable::Mapping& mapping = found->mapping;
  if (!MapZeroes(mapping.begin, mapping.size) &&
      !MapZeroesAround(at, mapping.begin, mapping.size)) {
    return std::nullopt;
  }
  table.SetLost(found->slot);
  return mapping.lost_fd;
}

}  // namespace annulus::memory
