#include "devices/vhost_user/memory/front_end_memory.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "memory/guest_region.h"

namespace annulus::vhost_user {
namespace {

// That no two of the regions share an address of the kind that `start` names,
// and none wraps.
absl::Status CheckAddresses(std::vector<MemoryRegion> regions,
                            uint64_t MemoryRegion::*start,
                            const char* address_space) {
  std::sort(regions.begin(), regions.end(),
            [start](const MemoryRegion& a, const MemoryRegion& b) {
              return a.*start < b.*start;
            });
  for (size_t i = 0; i < regions.size(); ++i) {
    if (!CheckedAdd(regions[i].*start, regions[i].size).has_value()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the memory region at %s address %#x of %u bytes wraps",
          address_space, regions[i].*start, regions[i].size));
    }
    if (i > 0 &&
        regions[i].*start - regions[i - 1].*start < regions[i - 1].size) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the memory regions at %s addresses %#x and %#x overlap",
          address_space, regions[i - 1].*start, regions[i].*start));
    }
  }
  return absl::OkStatus();
}

// What does not depend on files.
absl::Status CheckRegions(absl::Span<const MemoryRegion> regions) {
  if (regions.size() > FrontEndMemory::kMaxRegions) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "more than %u memory regions", FrontEndMemory::kMaxRegions));
  }
  for (const MemoryRegion& region : regions) {
    if (region.size == 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the memory region at %#x is empty", region.guest_address));
    }
  }
  const std::vector<MemoryRegion> all(regions.begin(), regions.end());
  ANNULUS_RETURN_IF_ERROR(
      CheckAddresses(all, &MemoryRegion::guest_address, "guest"));
  ANNULUS_RETURN_IF_ERROR(
      CheckAddresses(all, &MemoryRegion::user_address, "user"));
  uint64_t left = FrontEndMemory::kMaxBytes;
  for (const MemoryRegion& region : regions) {
    if (region.size > left) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "memory regions of more than %u bytes", FrontEndMemory::kMaxBytes));
    }
    left -= region.size;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FrontEndMemory::SetTable(absl::Span<const MemoryRegion> regions,
                                      absl::Span<const UniqueFd> fds) {
  if (regions.size() != fds.size()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%u memory regions with %u descriptors", regions.size(), fds.size()));
  }
  ANNULUS_RETURN_IF_ERROR(CheckRegions(regions));
  std::vector<Region> mapped;
  for (size_t i = 0; i < regions.size(); ++i) {
    ANNULUS_ASSIGN_OR_RETURN(Region region, Map(regions[i], fds[i].get()));
    mapped.push_back(std::move(region));
  }
  // The older mappings go with the older map.
  std::swap(regions_, mapped);
  BuildMap();
  return absl::OkStatus();
}

absl::Status FrontEndMemory::Add(const MemoryRegion& region,
                                 const UniqueFd& fd) {
  const auto present = Find(region);
  if (present != regions_.end()) return AddAgain(*present, region, fd);
  std::vector<MemoryRegion> all;
  for (const Region& present : regions_) all.push_back(present.description);
  all.push_back(region);
  ANNULUS_RETURN_IF_ERROR(CheckRegions(all));
  ANNULUS_ASSIGN_OR_RETURN(Region mapped, Map(region, fd.get()));
  regions_.push_back(std::move(mapped));
  BuildMap();
  return absl::OkStatus();
}

absl::Status FrontEndMemory::AddAgain(Region& present,
                                      const MemoryRegion& region,
                                      const UniqueFd& fd) {
  struct stat file;
  if (::fstat(fd.get(), &file) != 0) {
    return absl::ErrnoToStatus(errno, "asking for a memory region's file");
  }
  if (file.st_dev != present.start.device ||
      file.st_ino != present.start.inode ||
      region.mmap_offset != present.start.offset ||
      present.times == kMaxRegions) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the memory region at %#x is there already", region.guest_address));
  }
  ++present.times;
  return absl::OkStatus();
}

// As the protocol says, the offset in the file does not identify a region.
std::vector<FrontEndMemory::Region>::iterator FrontEndMemory::Find(
    const MemoryRegion& region) {
  return std::find_if(
      regions_.begin(), regions_.end(), [&](const Region& present) {
        return present.description.guest_address == region.guest_address &&
               present.description.user_address == region.user_address &&
               present.description.size == region.size;
      });
}

absl::Status FrontEndMemory::Remove(const MemoryRegion& region) {
  const auto found = Find(region);
  if (found == regions_.end()) {
    return absl::NotFoundError(
        absl::StrFormat("there is no memory region at %#x of %u bytes",
                        region.guest_address, region.size));
  }
  if (--found->times != 0) return absl::OkStatus();
  regions_.erase(found);
  BuildMap();
  return absl::OkStatus();
}

void FrontEndMemory::Clear() {
  regions_.clear();
  BuildMap();
}

void FrontEndMemory::SetDirtyLog(memory::DirtyLog* log) {
  log_ = log;
  BuildMap();
}

std::optional<memory::GuestAddress> FrontEndMemory::ToGuest(
    uint64_t user_address) const {
  for (const Region& region : regions_) {
    const MemoryRegion& at = region.description;
    if (user_address >= at.user_address &&
        user_address - at.user_address < at.size) {
      return memory::GuestAddress(at.guest_address +
                                  (user_address - at.user_address));
    }
  }
  return std::nullopt;
}

std::optional<FilePlace> FrontEndMemory::ToFile(
    memory::GuestAddress address) const {
  for (const Region& region : regions_) {
    const MemoryRegion& at = region.description;
    if (address.value() >= at.guest_address &&
        address.value() - at.guest_address < at.size) {
      FilePlace place = region.start;
      place.offset += address.value() - at.guest_address;
      return place;
    }
  }
  return std::nullopt;
}

bool FrontEndMemory::lost() const {
  return std::any_of(
      regions_.begin(), regions_.end(),
      [](const Region& region) { return region.mapping.lost(); });
}

absl::StatusOr<FrontEndMemory::Region> FrontEndMemory::Map(
    const MemoryRegion& description, int fd) const {
  ANNULUS_ASSIGN_OR_RETURN(
      memory::GuardedMapping mapping,
      memory::GuardedMapping::Map(fd, description.mmap_offset, description.size,
                                  lost_));
  struct stat file;
  if (::fstat(fd, &file) != 0) {
    return absl::ErrnoToStatus(errno, "asking for a memory region's file");
  }
  return Region{.description = description,
                .start = {.device = file.st_dev,
                          .inode = file.st_ino,
                          .offset = description.mmap_offset},
                .mapping = std::move(mapping)};
}

void FrontEndMemory::BuildMap() {
  memory_.reset();
  if (regions_.empty()) return;
  std::vector<memory::GuestRegion> map;
  for (const Region& region : regions_) {
    map.push_back(
        {.start = memory::GuestAddress(region.description.guest_address),
         .size = region.description.size,
         .host = region.mapping.data()});
  }
  absl::StatusOr<memory::GuestMemory> memory =
      memory::GuestMemory::Create(std::move(map), log_);
  ANNULUS_CHECK(memory.ok());  // CheckRegions() has seen to that.
  memory_ = std::make_unique<memory::GuestMemory>(*std::move(memory));
}

}  // namespace annulus::vhost_user
