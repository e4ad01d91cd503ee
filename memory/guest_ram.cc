#include "memory/guest_ram.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace annulus::memory {
namespace {

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kHugepageSize = 2 << 20;

absl::Status CheckSize(const GuestRamOptions& options) {
  const uint64_t page = options.hugepages ? kHugepageSize : kPageSize;
  if (options.size == 0 || options.size % page != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "guest RAM of %u bytes is not a positive multiple of %u", options.size,
        page));
  }
  struct sysinfo host;
  if (::sysinfo(&host) != 0) {
    return absl::ErrnoToStatus(errno, "asking the host's memory size");
  }
  const uint64_t host_bytes = uint64_t{host.totalram} * host.mem_unit;
  if (options.size > host_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("guest RAM of %u MiB is more than the host's %u MiB",
                        options.size >> 20, host_bytes >> 20));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> CreateMemfd(const GuestRamOptions& options) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (options.hugepages) flags |= MFD_HUGETLB | MFD_HUGE_2MB;
  UniqueFd fd(::memfd_create(options.name.c_str(), flags));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno, "creating the memfd of guest RAM");
  }
  if (::ftruncate(fd.get(), static_cast<off_t>(options.size)) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("sizing guest RAM to %u bytes", options.size));
  }
  // Nobody that the descriptor is passed to can shrink it under our mapping,
  // which would turn an access here into SIGBUS.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return absl::ErrnoToStatus(errno, "sealing the size of guest RAM");
  }
  return fd;
}

// Maps `fd`, or private memory where that is -1, at an address that is a
// multiple of 2 MiB: KVM maps a large page only where guest and host addresses
// agree in all bits below it.
void* MapAligned(const GuestRamOptions& options, int fd) {
  const uint64_t reserved_size = options.size + kHugepageSize;
  void* const reserved = ::mmap(nullptr, reserved_size, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                /*fd=*/-1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  uint8_t* const begin = static_cast<uint8_t*>(reserved);
  const uint64_t before = -reinterpret_cast<uint64_t>(reserved) % kHugepageSize;
  // Without MAP_NORESERVE a hugepage mapping reserves its pages here, so that
  // a pool that is too small is an error now and not a SIGBUS later.
  int flags = MAP_FIXED;
  flags |= options.shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  flags |= options.hugepages ? MAP_HUGETLB | MAP_HUGE_2MB : MAP_NORESERVE;
  void* const host = ::mmap(begin + before, options.size,
                            PROT_READ | PROT_WRITE, flags, fd, 0);
  const int error = errno;
  if (host == MAP_FAILED) {
    ::munmap(reserved, reserved_size);
  } else {
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + options.size, kHugepageSize - before);
  }
  errno = error;
  return host;
}

// Advice, which a kernel may be too old for; nothing depends on it.
void Advise(const GuestRamOptions& options, void* host) {
  // A core dump of the VMM shall hold no guest's secrets.
  (void)::madvise(host, options.size, MADV_DONTDUMP);
  (void)::madvise(host, options.size, MADV_HUGEPAGE);
  // Of the first 2 MiB, where tables and boot code are, a guest uses some pages
  // and an idle microguest no others: it shall not cost a large page.
  if (!options.hugepages && !options.prefault && options.size > kHugepageSize) {
    (void)::madvise(host, kHugepageSize, MADV_NOHUGEPAGE);
  }
  if (!options.shared) {
    (void)::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, host, options.size,
                  options.name.c_str());
  }
}

}  // namespace

absl::StatusOr<GuestRam> GuestRam::Create(const GuestRamOptions& options) {
  ANNULUS_RETURN_IF_ERROR(CheckSize(options));
  UniqueFd fd;
  if (options.shared) {
    ANNULUS_ASSIGN_OR_RETURN(fd, CreateMemfd(options));
  }
  void* const host = MapAligned(options, fd.get());
  if (host == MAP_FAILED) {
    return absl::ErrnoToStatus(
        errno,
        absl::StrFormat(
            "mapping %u MiB of guest RAM%s", options.size >> 20,
            options.hugepages ? " in hugepages (see vm.nr_hugepages)" : ""));
  }
  GuestRam ram(std::move(fd), static_cast<uint8_t*>(host), options.size);
  Advise(options, host);
  // After the advice, so that it takes large pages.
  if (options.prefault &&
      ::madvise(host, options.size, MADV_POPULATE_WRITE) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("taking %u MiB of guest RAM from the host",
                               options.size >> 20));
  }
  return ram;
}

GuestRam::GuestRam(UniqueFd fd, uint8_t* host, uint64_t size)
    : fd_(std::move(fd)), host_(host), size_(size) {}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : fd_(std::move(other.fd_)),
      host_(std::exchange(other.host_, nullptr)),
      size_(other.size_) {}

GuestRam& GuestRam::operator=(GuestRam&& other) noexcept {
  if (this != &other) {
    Unmap();
    fd_ = std::move(other.fd_);
    host_ = std::exchange(other.host_, nullptr);
    size_ = other.size_;
  }
  return *this;
}

GuestRam::~GuestRam() { Unmap(); }

void GuestRam::Unmap() {
  if (host_ != nullptr) ::munmap(host_, size_);
}

std::vector<GuestRegion> GuestRam::Regions() const {
  const uint64_t low = std::min(size_, kHoleStart.value());
  std::vector<GuestRegion> regions = {
      {.start = GuestAddress(0), .size = low, .host = host_, .fd = fd_.get()}};
  if (size_ > low) {
    regions.push_back({.start = kHoleEnd,
                       .size = size_ - low,
                       .host = host_ + low,
                       .fd = fd_.get(),
                       .file_offset = low});
  }
  return regions;
}

}  // namespace annulus::memory
