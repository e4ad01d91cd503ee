#include "devices/virtio/vsock/queues/event_queue.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/types/span.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

using State = TransportGate::State;

// struct virtio_vsock_event: le32 id.
constexpr std::array<uint8_t, kVsockEventBytes> kTransportReset = {
    kVsockEventTransportReset, 0, 0, 0};

void CopyIn(const DescriptorChain& chain, absl::Span<const uint8_t> bytes) {
  for (const ChainElement& element : chain.writable()) {
    const size_t here = std::min(element.span.size(), bytes.size());
    element.span.CopyIn(0, bytes.first(here));
    bytes.remove_prefix(here);
  }
}

}  // namespace

void EventQueue::QueueStarted(Virtqueue& queue) {
  batch_.Abandon();
  // In a ring that begins anew, all buffers are new.
  const QueueState at = queue.Save();
  if (at.next_available == 0 && at.available_wrap) known_ = 0;
}

bool EventQueue::Drain(Virtqueue& queue) {
  const State state = gate_.state();
  wait_ = {.buffers = state != State::kOpen};
  switch (state) {
    case State::kOpen:
      break;
    case State::kToPost:
      // If another one was asked for meanwhile, this one will do: the driver
      // sees it after that.
      if (Post(queue)) gate_.Advance(State::kToPost, State::kPosted);
      break;
    case State::kPosted:
      (void)queue.TakeMore(batch_);
      // Where the batch has no room for it, a buffer is still one.
      if (batch_.chains().size() <= known_ && !queue.HasAvailable()) break;
      wait_.buffers = false;
      // Else another one was asked for, and is to be posted now.
      if (!gate_.Advance(State::kPosted, State::kOpen)) return true;
      opened_();
      break;
  }
  return false;
}

// True if there was a buffer for it. All others are taken as well, so that the
// next one is seen to be new.
bool EventQueue::Post(Virtqueue& queue) {
  while (queue.TakeMore(batch_) != 0 || !batch_.chains().empty()) {
    DescriptorChain& chain = batch_.chains()[0];
    const bool fits = chain.writable_bytes() >= kVsockEventBytes;
    if (fits) CopyIn(chain, kTransportReset);
    // Linux heeds no event but one with this very used length.
    queue.Push(chain, fits ? kVsockEventBytes : 0);
    batch_.Release(1);
    (fits ? events_ : malformed_).Add(1);
    if (fits) {
      known_ = batch_.chains().size();
      return true;
    }
  }
  return false;
}

}  // namespace annulus::virtio
