#include "devices/virtio/queue/descriptor_chain.h"

#include <algorithm>

#include "devices/virtio/queue/queue_state.h"

namespace annulus::virtio {

void DescriptorChain::LogWritten(const memory::GuestMemory& memory,
                                 uint32_t written) const {
  uint64_t left = written;
  for (const ChainElement& element : writable()) {
    if (left == 0) return;
    const uint64_t here = std::min<uint64_t>(left, element.span.size());
    memory.MarkDirty(element.address, here);
    left -= here;
  }
}

Violation DescriptorChain::Resume(const memory::GuestMemory& memory,
                                  const ChainState& state) {
  Clear();
  if (state.readable.size() > max_descriptors_ ||
      state.writable.size() > max_descriptors_ - state.readable.size()) {
    return Violation::kChainTooLong;
  }
  for (const bool writable : {false, true}) {
    for (const ElementState& element :
         writable ? state.writable : state.readable) {
      const Violation violation =
          Append(memory, element.address, element.bytes, writable);
      if (violation != Violation::kNone) return violation;
    }
  }
  id_ = state.id;
  ring_descriptors_ = state.ring_descriptors;
  return Violation::kNone;
}

}  // namespace annulus::virtio
