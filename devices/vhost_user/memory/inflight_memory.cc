#include "devices/vhost_user/memory/inflight_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"

namespace annulus::vhost_user {
namespace {

// From one area to the next.
std::optional<uint64_t> Stride(uint64_t queue_bytes) {
  return CheckedAlignUp(queue_bytes, InflightMemory::kAlignment);
}

absl::StatusOr<uint64_t> BufferBytes(uint16_t num_queues,
                                     uint64_t queue_bytes) {
  const uint64_t stride = Stride(queue_bytes).value_or(UINT64_MAX);
  const uint64_t bytes =
      CheckedMultiply<uint64_t>(stride, num_queues).value_or(UINT64_MAX);
  if (bytes == 0 || bytes > InflightMemory::kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("an inflight buffer for %u queues of %u bytes",
                        num_queues, queue_bytes));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<InflightMemory::Buffer> InflightMemory::Create(
    uint16_t num_queues, uint16_t queue_size, uint64_t queue_bytes) {
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t bytes,
                           BufferBytes(num_queues, queue_bytes));
  Buffer buffer;
  buffer.fd.reset(
      ::memfd_create("annulus-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!buffer.fd.valid()) {
    return absl::ErrnoToStatus(errno, "creating an inflight buffer");
  }
  if (::ftruncate(buffer.fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(buffer.fd.get(), F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("sizing an inflight buffer to %u bytes", bytes));
  }
  buffer.description = {.mmap_size = bytes,
                        .mmap_offset = 0,
                        .num_queues = num_queues,
                        .queue_size = queue_size};
  return buffer;
}

absl::StatusOr<InflightMemory> InflightMemory::Map(
    const InflightDescription& description, const UniqueFd& fd,
    uint64_t queue_bytes, const EventFd& lost) {
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t bytes,
                           BufferBytes(description.num_queues, queue_bytes));
  if (description.mmap_size < bytes ||
      description.mmap_offset % kAlignment != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "an inflight buffer of %u bytes at %#x for %u queues of %u bytes",
        description.mmap_size, description.mmap_offset, description.num_queues,
        queue_bytes));
  }
  ANNULUS_ASSIGN_OR_RETURN(memory::GuardedMapping mapping,
                           memory::GuardedMapping::Map(
                               fd.get(), description.mmap_offset, bytes, lost));
  return InflightMemory(std::move(mapping), description, queue_bytes);
}

InflightMemory::InflightMemory(memory::GuardedMapping mapping,
                               const InflightDescription& description,
                               uint64_t queue_bytes)
    : mapping_(std::move(mapping)),
      queue_bytes_(queue_bytes),
      num_queues_(description.num_queues),
      queue_size_(description.queue_size) {}

memory::GuestSpan InflightMemory::queue(size_t index) const {
  if (index >= num_queues_) return {};
  return {mapping_.data() + index * *Stride(queue_bytes_), queue_bytes_};
}

}  // namespace annulus::vhost_user
