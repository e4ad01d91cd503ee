#include "tests/guest_user/dma_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "tests/guest_user/sysfs_file.h"

namespace annulus::guest_user {
namespace {

constexpr char kHugePages[] = "/proc/sys/vm/nr_hugepages";
// Documentation/admin-guide/mm/pagemap.rst of the kernel.
constexpr uint64_t kPagemapPresent = uint64_t{1} << 63;
constexpr uint64_t kPagemapFrame = (uint64_t{1} << 55) - 1;
constexpr uint64_t kPageBytes = 4096;

absl::StatusOr<uint64_t> AddressOf(int pagemap, const uint8_t* host) {
  uint64_t entry = 0;
  const uint64_t page = reinterpret_cast<uintptr_t>(host) / kPageBytes;
  if (::pread(pagemap, &entry, sizeof(entry),
              static_cast<off_t>(page * sizeof(entry))) != sizeof(entry)) {
    return absl::ErrnoToStatus(errno, "reading /proc/self/pagemap");
  }
  if ((entry & kPagemapPresent) == 0 || (entry & kPagemapFrame) == 0) {
    return absl::PermissionDeniedError(
        "/proc/self/pagemap shows no page frame numbers: this needs "
        "CAP_SYS_ADMIN");
  }
  return (entry & kPagemapFrame) * kPageBytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DmaMemory>> DmaMemory::Create(size_t bytes) {
  const size_t pages = (bytes + kHugePageBytes - 1) / kHugePageBytes;
  bytes = pages * kHugePageBytes;
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t reserved, ReadNumber(kHugePages));
  ANNULUS_RETURN_IF_ERROR(
      WriteText(kHugePages, absl::StrCat(reserved + pages)));
  void* const at =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE |
                 MAP_LOCKED | (21 << MAP_HUGE_SHIFT),
             -1, 0);
  if (at == MAP_FAILED) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("mapping ", pages, " huge pages of 2 MiB"));
  }
  std::unique_ptr<DmaMemory> memory(
      new DmaMemory(static_cast<uint8_t*>(at), bytes));
  std::memset(at, 0, bytes);
  ANNULUS_ASSIGN_OR_RETURN(memory->addrs_, memory->Addresses());
  return memory;
}

absl::StatusOr<std::vector<uint64_t>> DmaMemory::Addresses() const {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap.valid()) {
    return absl::ErrnoToStatus(errno, "opening /proc/self/pagemap");
  }
  std::vector<uint64_t> addrs;
  for (size_t at = 0; at < bytes_; at += kHugePageBytes) {
    ANNULUS_ASSIGN_OR_RETURN(const uint64_t addr,
                             AddressOf(pagemap.get(), host_ + at));
    addrs.push_back(addr);
  }
  return addrs;
}

absl::Status DmaMemory::CheckInPlace() const {
  ANNULUS_ASSIGN_OR_RETURN(const std::vector<uint64_t> addrs, Addresses());
  if (addrs == addrs_) return absl::OkStatus();
  return absl::InternalError("the kernel has moved pages of a device's");
}

DmaMemory::~DmaMemory() {
  ::munmap(host_, bytes_);
  const absl::StatusOr<uint64_t> reserved = ReadNumber(kHugePages);
  if (!reserved.ok()) return;
  // As before; if not, the kernel keeps some more in stock.
  WriteText(kHugePages, absl::StrCat(*reserved - bytes_ / kHugePageBytes))
      .IgnoreError();
}

DmaMemory::Block DmaMemory::Allocate(size_t bytes, size_t alignment) {
  ANNULUS_CHECK(bytes <= kHugePageBytes && alignment <= kHugePageBytes);
  size_t at = (used_ + alignment - 1) & ~(alignment - 1);
  // Huge pages that follow each other need not do so physically.
  if (at / kHugePageBytes != (at + bytes - 1) / kHugePageBytes) {
    at = (at + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
  }
  ANNULUS_CHECK(at + bytes <= bytes_);
  used_ = at + bytes;
  return {.host = host_ + at,
          .addr = addrs_[at / kHugePageBytes] + at % kHugePageBytes};
}

DmaMemory::Pages DmaMemory::AllocatePages(size_t count) {
  Pages pages;
  for (size_t i = 0; i < count; ++i) {
    // Huge pages are whole pages, so none is left out between two of these.
    const Block page = Allocate(kPageBytes, kPageBytes);
    if (i == 0) pages.host = page.host;
    pages.addrs.push_back(page.addr);
  }
  return pages;
}

}  // namespace annulus::guest_user
