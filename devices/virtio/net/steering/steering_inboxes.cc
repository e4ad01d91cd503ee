#include "devices/virtio/net/steering/steering_inboxes.h"

#include "base/status_macros.h"
#include "devices/virtio/net/backend/frame_copy.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<SteeringInboxes>> SteeringInboxes::Create(
    uint16_t pairs) {
  std::vector<std::unique_ptr<Box>> boxes;
  for (uint16_t i = 0; i < pairs; ++i) {
    ANNULUS_ASSIGN_OR_RETURN(EventFd readable, EventFd::Create());
    boxes.push_back(std::make_unique<Box>(std::move(readable)));
  }
  ANNULUS_ASSIGN_OR_RETURN(EventFd always_readable, EventFd::Create());
  always_readable.Signal();  // And never drained.
  return std::unique_ptr<SteeringInboxes>(
      new SteeringInboxes(std::move(boxes), std::move(always_readable)));
}

bool SteeringInboxes::Give(uint16_t pair, absl::Span<const iovec> frame,
                           uint32_t bytes) {
  Box& box = *boxes_[pair];
  const MutexLock lock(box.mu);
  if (!box.open) return false;
  uint8_t* const copy = box.inbox.Reserve(bytes);
  if (copy == nullptr) return false;
  GatherFrame(frame, copy, bytes);
  box.inbox.Commit();
  return true;
}

void SteeringInboxes::Open(uint16_t pair) {
  Box& box = *boxes_[pair];
  const MutexLock lock(box.mu);
  while (!box.inbox.Front().empty()) box.inbox.Pop();
  box.open = true;
}

void SteeringInboxes::Close(uint16_t pair) {
  Box& box = *boxes_[pair];
  const MutexLock lock(box.mu);
  box.open = false;
}

void SteeringInboxes::SetPolled(bool polled) {
  for (const auto& box : boxes_) box->inbox.SetPolled(polled);
}

}  // namespace annulus::virtio
