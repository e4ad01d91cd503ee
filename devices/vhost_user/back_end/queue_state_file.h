#ifndef DEVICES_VHOST_USER_BACK_END_QUEUE_STATE_FILE_H_
#define DEVICES_VHOST_USER_BACK_END_QUEUE_STATE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/memory/front_end_memory.h"
#include "memory/guarded_mapping.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {

// What the queues of one device have in flight, in a file of the back-end: for
// front-ends that keep no such memory for it (INFLIGHT_SHMFD), as DPDK and
// QEMU's network card. A process that was killed is followed by one that goes
// on where it was.
//
// Of each queue it says in which bytes of which file the ring is: a front-end
// that begins anew has memory of another file, and what is noted of an earlier
// one is void.
//
// Threads: that of the connection; a region is its queue's while that runs.
// Trust: the file is the operator's, but may be any: what is in a region is
//   checked by who recovers from it.
class QueueStateFile {
 public:
  // `fd` is grown as needed. Fails where the host refuses.
  static absl::StatusOr<std::unique_ptr<QueueStateFile>> Open(
      const UniqueFd& fd, absl::Span<const uint16_t> queue_sizes);

  // Where queue `index`, whose ring is at `ring`, notes what it has in flight,
  // and finds what it had. Empty where there is no room for `size` descriptors.
  memory::GuestSpan Region(size_t index, const FilePlace& ring, uint16_t size);

  // What queue `index` noted is void: its driver is gone, and the next one may
  // put its ring at the same place. REQUIRES: the queue does not run.
  void Forget(size_t index);

 private:
  // Of the place and the region of queue `index`. REQUIRES: there is one.
  memory::GuestSpan Entry(size_t index) const;

  QueueStateFile(EventFd lost, std::vector<uint16_t> queue_sizes)
      : lost_(std::move(lost)), queue_sizes_(std::move(queue_sizes)) {}

  const EventFd lost_;  // Nobody looks: what is lost with the file is void.
  const std::vector<uint16_t> queue_sizes_;
  std::vector<memory::GuardedMapping> mapping_;  // One, after Open().
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_QUEUE_STATE_FILE_H_
