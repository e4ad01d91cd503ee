#include "devices/virtio/net/steering/steered_queue.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/status/status.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<SteeredQueue>> SteeredQueue::Create(
    NetBackendQueue& backend, uint16_t pair, const NetSettingsStore& settings,
    SteeringInboxes& inboxes, QueueCounters& counters) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return absl::ErrnoToStatus(errno, "epoll_create1 for a steered queue");
  }
  for (const int fd : {backend.readable_fd(), inboxes.inbox(pair).fd()}) {
    if (fd < 0) continue;  // The backend has nothing to wait for.
    epoll_event event = {.events = EPOLLIN, .data = {}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return absl::ErrnoToStatus(errno, "epoll_ctl for a steered queue");
    }
  }
  return std::unique_ptr<SteeredQueue>(new SteeredQueue(
      backend, pair, settings, inboxes, counters, std::move(epoll)));
}

// Hot.
Transfer SteeredQueue::Receive(absl::Span<const iovec> room) {
  interrupted_ = false;
  FrameInbox& inbox = inboxes_.inbox(pair_);
  if (inbox_run_ < kMaxInboxRun) {
    const absl::Span<const uint8_t> front = inbox.Front();
    if (!front.empty()) {
      ++inbox_run_;
      return TakeFromInbox(front, room);
    }
  }
  inbox_run_ = 0;
  for (int i = 0; i < kMaxMoved; ++i) {
    const Transfer transfer = backend_.Receive(room);
    if (transfer.status == TransferStatus::kAgain) {
      // Only who is about to sleep asks to be woken.
      const absl::Span<const uint8_t> front = inbox.FrontOrArm();
      return front.empty() ? transfer : TakeFromInbox(front, room);
    }
    if (transfer.status != TransferStatus::kDone) return transfer;
    // For each frame, and after it was received: no frame that was sent when a
    // new table was acknowledged goes by the old one.
    const RssConfig& rss = reader_.Refresh().rss;
    if (!rss.steers() || IsForUs(rss, room, transfer.bytes)) return transfer;
  }
  // The backend has not said kAgain, so that its descriptor need not become
  // readable for the frames that it still has.
  interrupted_ = true;
  return {TransferStatus::kAgain, 0};
}

Transfer SteeredQueue::TakeFromInbox(absl::Span<const uint8_t> front,
                                     absl::Span<const iovec> room) {
  ScatterFrame(front, room);
  const uint32_t bytes = static_cast<uint32_t>(front.size());
  inboxes_.inbox(pair_).Pop();
  return {TransferStatus::kDone, bytes};
}

// False: it is another pair's, and on its way there, or lost.
bool SteeredQueue::IsForUs(const RssConfig& rss, absl::Span<const iovec> frame,
                           uint32_t bytes) {
  if (bytes < kNetHeaderBytes || bytes > kNetHeaderBytes + kNetMaxFrameBytes) {
    return true;  // No frame at all, as whoever called will find.
  }
  std::array<uint8_t, kFlowPrefixBytes> prefix;
  const size_t prefix_bytes =
      GatherFrame(frame.subspan(1), prefix.data(),
                  std::min(prefix.size(), bytes - kNetHeaderBytes));
  const uint16_t pair =
      rss.QueuePair(rss.Hash(absl::MakeConstSpan(prefix.data(), prefix_bytes)));
  if (pair == pair_) return true;
  if (!inboxes_.Give(pair, frame, bytes)) {
    counters_.Drop(NetDrop::kSteering);
  }
  return false;
}

}  // namespace annulus::virtio
