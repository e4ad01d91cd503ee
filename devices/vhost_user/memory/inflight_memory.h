#ifndef DEVICES_VHOST_USER_MEMORY_INFLIGHT_MEMORY_H_
#define DEVICES_VHOST_USER_MEMORY_INFLIGHT_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "memory/guarded_mapping.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {

// The buffer of "Inflight I/O tracking" that the front-end keeps for a back-end
// that may die: one area for each queue. What an area holds is the queue's
// business (devices/virtio/queue/inflight).
//
// Threads: thread-compatible. The areas are each its queue's.
// Trust: description and content are untrusted.
class InflightMemory {
 public:
  // Areas begin at multiples of this, and so does the buffer in its file.
  static constexpr uint64_t kAlignment = 64;
  // A buffer larger than this is of no device of ours.
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

  struct Buffer {
    UniqueFd fd;  // A memfd of zeroes, whose size is sealed.
    InflightDescription description;
  };

  // VHOST_USER_GET_INFLIGHT_FD: a new buffer for `num_queues` of `queue_size`
  // descriptors, which takes `queue_bytes` each. InvalidArgument where that is
  // nothing or more than kMaxBytes, or the errno of memfd_create(2).
  static absl::StatusOr<Buffer> Create(uint16_t num_queues, uint16_t queue_size,
                                       uint64_t queue_bytes);

  // VHOST_USER_SET_INFLIGHT_FD: a buffer from Create(), perhaps of an earlier
  // process. `lost` is signalled when the file is cut off; outlives this.
  // InvalidArgument where the file or the buffer is too small for as many
  // queues of so many bytes.
  static absl::StatusOr<InflightMemory> Map(
      const InflightDescription& description, const UniqueFd& fd,
      uint64_t queue_bytes, const EventFd& lost);

  // Of queue `index`; empty beyond num_queues().
  memory::GuestSpan queue(size_t index) const;

  uint16_t num_queues() const { return num_queues_; }
  uint16_t queue_size() const { return queue_size_; }
  bool lost() const { return mapping_.lost(); }

 private:
  InflightMemory(memory::GuardedMapping mapping,
                 const InflightDescription& description, uint64_t queue_bytes);

  memory::GuardedMapping mapping_;
  uint64_t queue_bytes_;
  uint16_t num_queues_;
  uint16_t queue_size_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_MEMORY_INFLIGHT_MEMORY_H_
