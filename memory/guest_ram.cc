#include "memory/guest_ram.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

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

}  // namespace

absl::StatusOr<GuestRam> GuestRam::Create(const GuestRamOptions& options) {
  if (absl::Status status = CheckSize(options); !status.ok()) return status;
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
  // Without MAP_NORESERVE a hugepage mapping reserves its pages here, so that
  // a pool that is too small is an error now and not a SIGBUS later.
  int map_flags = MAP_SHARED;
  if (!options.hugepages) map_flags |= MAP_NORESERVE;
  if (options.prefault) map_flags |= MAP_POPULATE;
  void* host = ::mmap(nullptr, options.size, PROT_READ | PROT_WRITE, map_flags,
                      fd.get(), 0);
  if (host == MAP_FAILED) {
    return absl::ErrnoToStatus(
        errno,
        absl::StrFormat(
            "mapping %u MiB of guest RAM%s", options.size >> 20,
            options.hugepages ? " in hugepages (see vm.nr_hugepages)" : ""));
  }
  // A core dump of the VMM shall hold no guest's secrets. Advice only.
  (void)::madvise(host, options.size, MADV_DONTDUMP);
  return GuestRam(std::move(fd), static_cast<uint8_t*>(host), options.size);
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
