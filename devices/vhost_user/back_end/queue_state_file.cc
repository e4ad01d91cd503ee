#include "devices/vhost_user/back_end/queue_state_file.h"

#include <fcntl.h>
#include <sys/types.h>

#include <atomic>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/inflight/inflight_region.h"

namespace annulus::vhost_user {
namespace {

// Before the region of each queue, in 64-bit words. The version is written
// last, and taken away first: a process may be killed between any two.
constexpr uint64_t kVersionOfFormat = 0x31'75'6c'75'6e'6e'61;  // "annulu1"
constexpr size_t kVersionAt = 0;
constexpr size_t kDeviceAt = 8;
constexpr size_t kInodeAt = 16;
constexpr size_t kOffsetAt = 24;
constexpr size_t kPlaceBytes = virtio::kInflightAlignment;

// The packed format's region is the larger one.
size_t RegionBytes(uint16_t size) {
  return virtio::InflightRegionBytes(/*packed=*/true, size);
}

uint64_t LoadWord(const memory::GuestSpan& span, size_t at) {
  return span.Load<uint64_t>(at, std::memory_order_relaxed);
}

// Release: no other thread reads it, but the compiler is not to reorder it.
void StoreWord(const memory::GuestSpan& span, size_t at, uint64_t value) {
  span.Store<uint64_t>(at, value, std::memory_order_release);
}

}  // namespace

absl::StatusOr<std::unique_ptr<QueueStateFile>> QueueStateFile::Open(
    const UniqueFd& fd, absl::Span<const uint16_t> queue_sizes) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd lost, EventFd::Create());
  std::unique_ptr<QueueStateFile> file(new QueueStateFile(
      std::move(lost),
      std::vector<uint16_t>(queue_sizes.begin(), queue_sizes.end())));
  uint64_t bytes = 0;
  for (const uint16_t size : queue_sizes) {
    bytes += kPlaceBytes + RegionBytes(size);
  }
  // With all its blocks: were there none left when a queue notes something, the
  // file would tell the next process of an earlier moment.
  const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
  if (error != 0) {
    return absl::ErrnoToStatus(
        error, absl::StrFormat("growing the state file to %u bytes", bytes));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      memory::GuardedMapping mapping,
      memory::GuardedMapping::Map(fd.get(), 0, bytes, file->lost_));
  file->mapping_.push_back(std::move(mapping));
  return file;
}

memory::GuestSpan QueueStateFile::Entry(size_t index) const {
  size_t start = 0;
  for (size_t i = 0; i < index; ++i) {
    start += kPlaceBytes + RegionBytes(queue_sizes_[i]);
  }
  return memory::GuestSpan(mapping_[0].data(), mapping_[0].size())
      .Subspan(start, kPlaceBytes + RegionBytes(queue_sizes_[index]));
}

void QueueStateFile::Forget(size_t index) {
  if (index >= queue_sizes_.size()) return;
  StoreWord(Entry(index).Subspan(0, kPlaceBytes), kVersionAt, 0);
}

memory::GuestSpan QueueStateFile::Region(size_t index, const FilePlace& ring,
                                         uint16_t size) {
  if (index >= queue_sizes_.size() || size > queue_sizes_[index]) return {};
  const memory::GuestSpan entry = Entry(index);
  const memory::GuestSpan header = entry.Subspan(0, kPlaceBytes);
  const memory::GuestSpan region =
      entry.Subspan(kPlaceBytes, entry.size() - kPlaceBytes);
  const FilePlace noted = {.device = LoadWord(header, kDeviceAt),
                           .inode = LoadWord(header, kInodeAt),
                           .offset = LoadWord(header, kOffsetAt)};
  if (LoadWord(header, kVersionAt) == kVersionOfFormat && noted == ring) {
    return region;
  }
  StoreWord(header, kVersionAt, 0);
  virtio::InflightRegion(region).Invalidate();
  StoreWord(header, kDeviceAt, ring.device);
  StoreWord(header, kInodeAt, ring.inode);
  StoreWord(header, kOffsetAt, ring.offset);
  StoreWord(header, kVersionAt, kVersionOfFormat);
  return region;
}

}  // namespace annulus::vhost_user
